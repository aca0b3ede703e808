"""`jaxbp train digits`: train a network with one of three gradients."""

from ..errors import UnknownName, nearest


def run(argv) -> int:
    """The exit status of `jaxbp train *argv`."""
    if not argv or argv[0] in ("-h", "--help"):
        print("usage: jaxbp train digits [options]; --help behind it has the options.")
        return 0 if argv else 2
    if argv[0] != "digits":
        raise UnknownName(f"no task `{argv[0]}`. {nearest(argv[0], ['digits'])}")
    import tyro

    from ..training.digits import train_digits
    from .options import PLAIN_FLAGS

    prog = "jaxbp train digits"
    tyro.cli(train_digits, args=argv[1:], prog=prog, config=PLAIN_FLAGS)
    return 0
