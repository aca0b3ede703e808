"""`jaxbp train digits`: train a network with one of three gradients."""

from ..errors import UnknownName, nearest


def run(argv) -> int:
    """The exit status of `jaxbp train *argv`."""
    if not argv or argv[0] in ("-h", "--help"):
        print("usage: jaxbp train digits [options]; --help behind it has the options.")
        return 0 if argv else 2
    if argv[0] != "digits":
        raise UnknownName(f"no task `{argv[0]}`. {nearest(argv[0], ['digits'])}")
    from ..training.digits import train_digits
    from .options import parsed

    outcome = parsed(train_digits, argv[1:], "jaxbp train digits")
    if outcome.saved is not None:
        epoch = int(outcome.training.state.epoch)
        print(f"{outcome.saved} holds the state after epoch {epoch}.")
    return 0
