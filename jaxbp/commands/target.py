"""A function named on the command line, `pkg.mod:fn`, and arguments to call it with."""

import contextlib
import importlib
import re
import sys
import traceback
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import InvalidArgument, JaxbpError, UnknownName, nearest
from ..tree import describe

DTYPES = {
    "bool": "bool", "bf16": "bfloat16", "f16": "float16", "f32": "float32",
    "f64": "float64", "c64": "complex64", "c128": "complex128",
    "i8": "int8", "i16": "int16", "i32": "int32", "i64": "int64",
    "u8": "uint8", "u16": "uint16", "u32": "uint32", "u64": "uint64",
}  # fmt: skip
SPEC = re.compile(r"([a-z]+\d*)(?:\[([\d,\s]*)\])?\s*")


def load_function(name):
    """(function, its module) for `pkg.mod:fn` or `file.py:fn`, found from the folder
    one is in.

    Raises:
      InvalidArgument: `name` has another form, the module raises, or it is no function.
      UnknownName: no such module or attribute; the message has the nearest names.
    """
    place, colon, attribute = name.partition(":")
    if not (place and colon and attribute):
        raise InvalidArgument(
            f"a function is named `pkg.mod:fn` or `file.py:fn`, but `{name}` came."
        )
    module = _load_module(place)
    found = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            known = [n for n in vars(module) if callable(getattr(module, n))]
            raise UnknownName(
                f"`{place}` has no function `{attribute}`. {nearest(attribute, known)}"
            )
        found = getattr(found, part)
    if not callable(found):
        raise InvalidArgument(
            f"`{name}` must be a function, but is of type {type(found).__name__}."
        )
    return found, module


def _load_module(place):
    path = Path(place)
    if path.suffix == ".py":
        if not path.is_file():
            raise UnknownName(f"there is no file {place}. {_files_near(path)}")
        folder, place = path.resolve().parent, path.stem
    else:
        folder = Path.cwd()
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    with blamed_on_user(f"importing `{place}`"):
        try:
            return importlib.import_module(place)
        except ModuleNotFoundError as error:
            if error.name is None or not (place + ".").startswith(error.name + "."):
                raise  # the module is there; what it imports is not
            known = [p.stem for p in folder.glob("*.py")]
            known += [p.parent.name for p in folder.glob("*/__init__.py")]
            hint = nearest(place, known) if known else "It holds no Python file."
            raise UnknownName(
                f"no module `{error.name}` in this environment or the current folder. "
                f"{hint}"
            ) from None


def _files_near(path):
    known = [p.name for p in path.parent.glob("*.py")] if path.parent.is_dir() else []
    return (
        nearest(path.name, known, suffix=".py")
        if known
        else "Its folder holds no Python file."
    )


@contextlib.contextmanager
def blamed_on_user(doing, args=(), source=""):
    """What goes wrong in the user's own code is told in one line, with the place and
    the types of the arguments of the call; the error itself is its cause.

    Args:
      doing: what was being done, "tracing `model.py:loss`".
      args: of the call.
      source: where the arguments came from, a sentence.
    """
    try:
        yield
    except JaxbpError:
        raise
    except SystemExit as error:
        raise InvalidArgument(
            f"{doing} ended in sys.exit({error.code!r}){_user_line(error)}. Let it run "
            "only in a script: `if __name__ == '__main__':`."
        ) from error
    except Exception as error:
        if "\nKeyboardInterrupt" in str(error):  # that met a callback, and was caught
            raise KeyboardInterrupt from error
        said = str(error).strip().split("\n")[0].rstrip(".")
        raise InvalidArgument(
            f"{doing} raised {type(error).__name__}: {said}{_user_line(error)}"
            f"{_called_with(args)}{source}{_hint(error)} --traceback shows all of it."
        ) from error


def _called_with(args):
    return f"; called with {', '.join(map(_kinds, args))}." if args else "."


def _hint(error):
    """What to do about errors that do not say it."""
    if isinstance(error, jax.errors.TracerArrayConversionError):
        return " NumPy cannot compute with traced values: write jnp for np there."
    if isinstance(error, ImportError) and "relative import" in str(error):
        return " Name it by its module, `pkg.mod:fn`, from the folder that holds pkg."
    if isinstance(error, jax.errors.ConcretizationTypeError):
        return (
            " A traced value has no number yet: branch by jnp.where or lax.cond, or "
            "give it as a Python number that is not differentiated."
        )
    return ""


MOST = 3  # leaves of one argument that are told


def _kinds(argument):
    """An argument's types: those of its leaves, the first few if there are many."""
    leaves, structure = jax.tree.flatten(argument)
    if structure == jax.tree.structure(0):
        return _kind(argument)
    if len(leaves) <= MOST:
        with contextlib.suppress(Exception):  # a class that cannot hold strings
            plain = isinstance(argument, list | tuple | dict)
            return str(jax.tree.map(_kind, argument)) if plain else _named(argument)
    return _named(argument)


def _named(argument):
    """A model, or a large tree: its class and how many arrays it holds."""
    arrays = [leaf for leaf in jax.tree.leaves(argument) if hasattr(leaf, "dtype")]
    plural = "s" * (len(arrays) != 1)
    return f"{type(argument).__name__} ({len(arrays)} array{plural})"


def _kind(leaf):
    """`float32[3,4]` of what has a dtype, else the name of its type."""
    if not hasattr(leaf, "dtype"):
        return type(leaf).__name__
    return f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"


def _user_line(error):
    """` (file.py:7)` of the innermost line that is neither jax's nor ours."""
    frames = traceback.extract_tb(error.__traceback__)
    own = str(Path(__file__).parent.parent)
    for frame in reversed(frames):
        if not (
            frame.filename.startswith((own, "<")) or "site-packages" in frame.filename
        ):
            if "importlib" not in frame.filename:
                return f" ({Path(frame.filename).name}:{frame.lineno})"
    return ""


def arguments(function_name, module, expressions=None, shapes=None, seed=0):
    """The positional arguments to call a function with.

    Args:
      function_name: for the messages and for an `example_args` that is a dict.
      module: where the function lives; its `example_args` serves if nothing is given:
        a tuple, a function that returns one, or a dict from function names to these.
      expressions: Python expressions separated by commas; `np`, `jnp`, `jax` and the
        module's own names are in scope.
      shapes: e.g. "f32[3,4] i32[2]", filled at random by `seed`.

    Raises:
      InvalidArgument: there is none of the three, or it cannot be read.
    """
    if expressions is not None and shapes is not None:
        raise InvalidArgument("give `--args` or `--shapes`, not both.")
    if expressions is not None:
        return evaluated("--args", expressions, module, many=True)
    if shapes is not None:
        return filled(shapes, seed)
    if not hasattr(module, "example_args"):
        raise InvalidArgument(
            f"`{function_name}` needs arguments: --args 'jnp.ones(3), 2.0', or "
            "--shapes 'f32[3] f32[]', or a tuple `example_args` in its module."
        )
    return _example(function_name, module.example_args)


def evaluated(option, expression, module, many=False):
    """The value of a Python expression given by an option.

    `np`, `jnp`, `jax` and the names of the user's module are in scope.

    Args:
      many: expressions separated by commas, to a tuple of their values.
    """
    scope = {**vars(module), "np": np, "jnp": jnp, "jax": jax}
    text = expression.strip()
    if many:
        text = f"{text.removesuffix(',')}," if text else ""
    with blamed_on_user(f"`{option} {expression}`"):
        return eval(f"({text})", scope)


def _example(function_name, given):
    if isinstance(given, dict):
        if function_name not in given:
            raise UnknownName(
                f"`example_args` has no entry `{function_name}`. "
                f"{nearest(function_name, given)}"
            )
        given = given[function_name]
    if callable(given):
        with blamed_on_user("`example_args()`"):
            given = given()
    if not isinstance(given, tuple | list):
        raise InvalidArgument(
            "`example_args` must be a tuple, one entry per argument, but is "
            f"{describe(given)}. Of one argument it is `(x,)`."
        )
    return tuple(given)


def parse_shapes(text):
    """[(dtype, shape)] of "f32[3,4] i32[2] f64[]".

    Raises:
      InvalidArgument: it cannot be read so.
    """
    specs, at = [], 0
    text = text.strip()
    while at < len(text):
        match = SPEC.match(text, at)
        if match is None or match[1] not in DTYPES:
            raise InvalidArgument(
                f"`--shapes` must read like 'f32[3,4] i32[2] f64[]', but '{text}' "
                f"came, which says nothing from '{text[at:]}' on. "
                f"Types: {', '.join(DTYPES)}."
            )
        sizes = [int(n) for n in (match[2] or "").split(",") if n.strip()]
        specs.append((DTYPES[match[1]], tuple(sizes)))
        at = match.end()
    return specs


def needs_64_bit(text):
    """Whether a type in "f64[3] i32[2]" exists only in 64-bit mode."""
    wide = ("float64", "complex128", "int64", "uint64")
    return any(dtype in wide for dtype, _ in parse_shapes(text))


def types(text):
    """The given types as `jax.ShapeDtypeStruct`s: arguments that take no memory."""
    return tuple(jax.ShapeDtypeStruct(s, d) for d, s in parse_shapes(text))


def filled(text, seed):
    """Arrays of the given types: floats normal, integers 0 or 1, by `seed`."""
    rng = np.random.default_rng(seed)
    arrays = []
    for dtype, shape in parse_shapes(text):
        if dtype.startswith(("int", "uint", "bool")):
            values = rng.integers(0, 2, shape)
        else:
            values = rng.normal(size=shape)
            if dtype.startswith("complex"):
                values = values + 1j * rng.normal(size=shape)
        arrays.append(jnp.asarray(values, dtype))
    return tuple(arrays)
