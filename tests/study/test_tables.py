"""CSV that round-trips, Markdown and cells that people read."""

import math

import pytest

from jaxbp.study import tables

ROWS = [
    {"name": "a", "n": 3, "time_s": 1.23456789e-3, "ok": True, "gap": ""},
    {"name": "b", "n": 4, "gap": "over budget: 3e9 flops, limit 1e9"},
    {"name": "c", "n": 5, "time_s": 0.25, "tape_bytes": 2048, "ok": False},
]


def test_csv_has_units_in_its_names_and_fixed_digits():
    text = tables.csv_text(ROWS)
    head, first, second, third = text.splitlines()
    assert head == "name,n,time_s,ok,tape_bytes,gap"
    assert first == "a,3,0.0012346,True,,"
    assert second == 'b,4,,,,"over budget: 3e9 flops, limit 1e9"'
    assert third == "c,5,0.25,False,2048,"


def test_csv_read_back_and_written_again_is_the_same():
    text = tables.csv_text(ROWS)
    assert tables.csv_text(tables.read_csv(text)) == text


@pytest.mark.parametrize("value", [5905.0, -3.0, 0.0, 2.5, 1e20, math.inf])
def test_a_float_comes_back_a_float(value):
    (row,) = tables.read_csv(tables.csv_text([{"ratio": value}]))
    assert row["ratio"] == value and type(row["ratio"]) is float


def test_csv_keeps_types():
    first, second, third = tables.read_csv(tables.csv_text(ROWS))
    assert first["n"] == 3 and type(first["n"]) is int
    assert first["ok"] is True and third["ok"] is False
    assert "time_s" not in second and second["gap"].startswith("over budget")


@pytest.mark.parametrize(
    ("value", "name", "text"),
    [
        (1.2345e-3, "time_s", "1.23 ms"),
        (250.0, "time_s", "250 s"),
        (3.4e-8, "time_s", "34 ns"),
        (2048, "tape_bytes", "2 KiB"),
        (1.5e9, "xla_flops", "1.5G"),
        (0, "tape_bytes", "0 B"),
        (1234567, "parameters", "1234567"),
        (1.2345e-7, "closeness", "1.2e-07"),
        (2.345678, "ratio", "2.35"),
        (5905.0, "ratio", "5,900"),
        (1.5e12, "rate", "1.5e+12"),
        (math.nan, "ratio", "nan"),
        (None, "ratio", ""),
        ("words", "network", "words"),
    ],
)
def test_cells_for_readers(value, name, text):
    assert tables.shown(value, name) == text


def test_headings_drop_the_unit_that_cells_carry():
    assert tables.heading("trace_s") == "trace"
    assert tables.heading("xla_peak_bytes") == "xla peak"
    assert tables.heading("parameters") == "parameters"


def test_markdown_states_a_gap_where_numbers_would_begin():
    text = tables.markdown(ROWS, ["name", "n", "time_s"])
    assert text.splitlines() == [
        "| name | n | time |",
        "| --- | ---: | ---: |",
        "| a | 3 | 1.23 ms |",
        "| b | 4 | over budget: 3e9 flops, limit 1e9 |",
        "| c | 5 | 250 ms |",
    ]


def test_a_pivot_has_a_line_for_each_index_and_names_gaps_in_short():
    rows = [
        {"n": 1, "method": "x", "ratio": 1.0},
        {"n": 1, "method": "y", "gap": "over budget: 3e9 flops"},
        {"n": 2, "method": "x", "ratio": 3.0},
    ]
    assert tables.pivot(rows, ["n"], "method", "ratio") == [
        {"n": 1, "x": 1.0, "y": "over budget"},
        {"n": 2, "x": 3.0},
    ]


def test_the_screen_table_holds_every_cell():
    text = str(tables.table(ROWS, ["name", "time_s"], "Times"))
    assert "Times" in text and "1.23 ms" in text and "over budget" in text


def test_bars_in_names_do_not_end_a_cell():
    (_, _, line) = tables.markdown([{"name": "|x|", "n": 1}], ["name", "n"]).split(
        "\n"
    )[:3]
    assert line == "| \\|x\\| | 1 |"


def test_words_stand_left_and_numbers_right_also_as_text():
    rows = [
        {"method": "", "computed": "0.25", "known": "0.2 to 0.3"},
        {"method": "jacrev", "computed": "1e-05"},
    ]
    sides = tables.markdown(rows, ["method", "computed", "known"]).splitlines()[1]
    assert sides == "| --- | ---: | --- |"


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (0.2, "several times"),
        (40, "tens of times"),
        (1e3, "thousands of times"),
        (1e9, "tens of thousands of times"),
    ],
)
def test_orders_of_magnitude(value, word):
    assert tables.order(value) == word
