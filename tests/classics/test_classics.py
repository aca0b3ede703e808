"""Every classic, run quickly: each computed number meets the known one beside it.

Files and gallery are tested on a toy in `tests/study/test_classic.py`.
"""

import pytest
from matplotlib.figure import Figure

from jaxbp.classics import gallery
from jaxbp.classics.classic import compared

NAMES = list(gallery.classic_files())


@pytest.mark.parametrize("name", NAMES)
def test_every_number_meets_the_known_one_and_the_picture_is_drawn(name):
    classic = gallery.load_classic(name)
    numbers, drawn = classic.compute(True)
    numbers = {name: float(value) for name, value in numbers.items()}
    rows = compared(classic, numbers, quick=True)
    assert not [row for row in rows if row.get("holds") is False]
    assert sum("known" in row for row in rows) >= 2
    assert classic.answer(numbers).endswith(".")
    axes = list(Figure().subplots(*classic.panels, squeeze=False).flat)
    classic.draw(drawn, axes)
    needed = len(axes) - (classic.panels[0] > 1)  # of several rows one may be left over
    assert all(axis.has_data() for axis in axes[:needed])


def test_every_system_is_rebuilt():
    classics = gallery.all_classics()
    assert {number for c in classics for number in c.systems} == set(range(1, 29))
    assert all(c.text.strip().endswith(f"jaxbp classics {c.name}") for c in classics)
    assert all("\nSource: " in c.text for c in classics)
