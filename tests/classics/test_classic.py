"""The frame of the classics: comparison, files, gallery."""

import math
from pathlib import Path

import pytest

from jaxbp.classics import gallery
from jaxbp.classics.classic import Classic, compared, execute, run
from jaxbp.classics.known import at_least, at_most, between, exactly, printed, within
from jaxbp.errors import UnknownName


def toy(**changes):
    """A classic with one number, drawn as one line."""
    fields = dict(
        file=str(Path(__file__).with_name("toy_classic.py")),
        text="How much is a half?\n\nMore.",
        systems={1: "halves"},
        compute=lambda quick: ({"half": 0.5, "epochs": 1 if quick else 9}, None),
        known={"half": printed("0.500"), "epochs": exactly(9)},
        quick_known={"epochs": at_least(1)},
        draw=lambda drawn, axes: axes[0].plot([0, 1]),
        answer=lambda numbers: f"It is {numbers['half']}.",
    )
    return Classic(**fields | changes)


@pytest.mark.parametrize(
    ("known", "inside", "outside"),
    [
        (printed(".340107"), 0.3401074, 0.3401076),
        (printed("3.51018778298e-05"), 3.510187782976e-05, 3.510187782986e-05),
        (printed("24.70408163265306"), 24.704081632653059, 24.70408163265309),
        (within(1, 0.5), 1.5, 1.6),
        (exactly(2), 2, 2 + 1e-15),
        (at_least(0.9), 0.9, 0.89),
        (at_most(0.9), 0.9, math.nan),
        (between(1, 2), 2, 2.1),
    ],
)
def test_a_known_number_holds_to_its_digits(known, inside, outside):
    assert known.holds(inside) and not known.holds(outside)


def test_a_quick_run_has_its_own_gates_and_a_number_left_out_is_missed():
    numbers = {"half": 0.5, "epochs": 3.0}
    assert [row["holds"] for row in compared(toy(), numbers, True)] == [True, True]
    assert [row["holds"] for row in compared(toy(), numbers, False)] == [True, False]
    assert [row["holds"] for row in compared(toy(), {}, True)] == [False, False]
    without = toy(quick_known={"epochs": None})
    assert "known" not in compared(without, numbers, True)[1]


def test_a_run_writes_its_files_and_says_what_it_missed(tmp_path):
    outcome = execute(toy(), results=tmp_path)
    assert not outcome.missed
    table = (tmp_path / "classics" / "toy_classic" / "table.md").read_text()
    assert table.startswith("# How much is a half?\n\nIt is 0.5.\n")
    assert "| half | 0.5 | 0.500 | yes |" in table
    wrong = execute(toy(known={"half": exactly(1)}), results=tmp_path)
    assert [row["number"] for row in wrong.missed] == ["half"]
    assert gallery.told([outcome, wrong]) == 1 and gallery.told([outcome]) == 0


def test_the_command_line_ends_in_the_exit_status(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("jaxbp.classics.classic.results_folder", lambda: tmp_path)
    with pytest.raises(SystemExit) as end:
        run(toy(known={"half": exactly(1)}), ["--quick"])
    assert end.value.code == 1
    assert "NO" in capsys.readouterr().out
    assert (tmp_path / "classics" / "toy_classic" / "quick" / "figure.svg").exists()


def test_the_gallery_shows_picture_answer_command_and_systems(tmp_path):
    page = gallery.gallery([execute(toy(), results=tmp_path)])
    assert "![How much is a half?](../../results/classics/toy_classic/figure" in page
    assert "It is 0.5." in page and "`jaxbp classics toy_classic`" in page
    assert "| halves | [toy_classic](toy_classic.py) |" in page


def test_an_unknown_classic_names_the_nearest():
    with pytest.raises(UnknownName, match="sigmoids"):
        gallery.load_classic("sigmoid")
