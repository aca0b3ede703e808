"""The catalogue of these programs, filled by the modules that hold them."""

from collections.abc import Callable

Sizes = dict[str, int]
# name: (function, maker of its arguments, sizes that are timed, sizes for tests)
EVERYDAY: dict[str, tuple[Callable, Callable, Sizes, Sizes]] = {}


def listed(make_args: Callable, real: Sizes, small: Sizes) -> Callable:
    """Puts a function of (params, *data) into `EVERYDAY`, by its name."""

    def put(function: Callable) -> Callable:
        EVERYDAY[function.__name__] = function, make_args, real, small
        return function

    return put
