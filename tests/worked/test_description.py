"""Descriptions of networks: what is wrong is told with its line."""

import pytest

from jaxbp import worked
from jaxbp.errors import InvalidArgument, UnknownName
from jaxbp.worked.source import line_of

GOOD = """\
name = "mine"
inputs = [0.5, 1]
targets = [1.0]

W1 = [
  [0.1, 0.2], # a comment with ] and ,
  [0.3, 0.4],
]
b1 = [0.0, 0.1]
W2 = [[0.5, 0.6]]
activation = ["tanh", "linear"]
learning_rate = 0.5
"""


@pytest.fixture
def written(tmp_path):
    def write(text):
        (tmp_path / "net.toml").write_text(text)
        return tmp_path / "net.toml"

    return write


def test_a_good_one(written):
    net = worked.load(written(GOOD))
    assert net.sizes == (2, 2, 1) and net.biases == ((0.0, 0.1), None)
    assert (net.loss, net.order, net.steps) == ("half_squares", "together", 1)


# What is replaced in the good one, by what, and the complaint.
WRONG = [
    ("0.3, 0.4", "0.3", 7, r"`W1\[2\]` must have 2 numbers, one per input, but has 1"),
    ("0.3, 0.4", "0.3, nan", 7, r"`W1\[2,2\]` must be finite, but is nan"),
    ("0.3, 0.4", '0.3, "0.4"', 7, r"`W1\[2,2\]` must be a number, but is '0.4'"),
    (
        "[[0.5, 0.6]]",
        "[[0.5]]",
        10,
        r"`W2\[1\]` must have 2 numbers, one per row of `W1`",
    ),
    ("[[0.5, 0.6]]", "[0.5, 0.6]", 10, r"`W2\[1\]` must be a list of numbers, but"),
    ("0.5, 1]", "inf, 1]", 2, r"`inputs\[1\]` must be finite, but is inf"),
    ("[1.0]", "[1.0, 0.0]", 3, "`targets` must have 1 entries, one per row of `W2`"),
    ("[1.0]", "1.0", 3, "`targets` must be a list of numbers, but is 1.0"),
    ("[0.0, 0.1]", "[0.0]", 9, "`b1` must be one number, shared, or 2, one per row"),
    ('"linear"', '"liner"', 11, "unknown activation `liner`. Did you mean `linear`"),
    ('"tanh", ', "", 11, "`activation` must be one name, or 2, one per layer, but"),
    ("= 0.5\n", "= true\n", 12, "`learning_rate` must be a number, but is True"),
    ("= 0.5\n", '= 0.5\nloss = "square"\n', 13, "unknown loss `square`. Did you mean"),
    ("= 0.5\n", '= 0.5\nloss = ["squares"]\n', 13, "`loss` must be .* A loss is a sin"),
    ("= 0.5\n", "= 0.5\nlerning = 1\n", 13, "unknown key `lerning`. Did you mean `lea"),
    ("= 0.5\n", '= 0.5\nfrozen = ["b2"]\n', 13, "`frozen` names no parameter `b2`"),
    ("= 0.5\n", '= 0.5\norder = "random"\n', 13, "`order` must be together or output"),
    ("= 0.5\n", "= 0.5\nsteps = 0\n", 13, "`steps` must be an integer from 1 on"),
    (
        "= 0.5\n",
        "= 0.5\nb3 = [0.1]\n",
        13,
        "unknown key `b3`. It needs `W3`, which is m",
    ),
    ("= 0.5\n", "= 0.5\n[more]\nx = 1\n", 13, "unknown key `more`"),
    (
        "= 0.5\n",
        "= 0.5\nsizes = [2, 3, 1]\n",
        13,
        r"`sizes` is \[2, 3, 1\], but inputs",
    ),
]


@pytest.mark.parametrize(("old", "new", "line", "said"), WRONG)
def test_a_wrong_one_is_told_with_its_line(written, old, new, line, said):
    assert old in GOOD
    with pytest.raises(InvalidArgument, match=rf"^net\.toml, line {line}: {said}"):
        worked.load(written(GOOD.replace(old, new, 1)))


def test_what_has_no_line(written):
    with pytest.raises(InvalidArgument, match=r"^net\.toml: `W1` is missing"):
        worked.load(written("inputs = [1]\ntargets = [1]\n"))
    with pytest.raises(InvalidArgument, match=r"no TOML: .*\(at line 2, column 12\)"):
        worked.load(written("inputs = [1]\nW1 = [[1], oops"))
    place = written("")
    place.write_bytes(b"inputs = [1]\n# \xff")
    with pytest.raises(InvalidArgument, match=r"^net\.toml, line 2: not text in UTF-8"):
        worked.load(place)
    with pytest.raises(InvalidArgument, match="^`W1.1.` must have 1 numbers, one per"):
        worked.net(inputs=[1.0], targets=[1.0], W1=[[1.0, 2.0]])
    with pytest.raises(UnknownName, match="Did you mean `mazur`?"):
        worked.load("mazurr")


@pytest.mark.parametrize(
    ("key", "place", "line"),
    [
        ("W1", (), 5),
        ("W1", (0,), 6),
        ("W1", (1, 1), 7),
        ("W1", (5,), 5),
        ("b1", (1,), 9),
        ("no", (), None),
    ],
)
def test_lines(key, place, line):
    assert line_of(GOOD, key, place) == line
