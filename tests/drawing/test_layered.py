"""The layered layout: columns in order, no overlap, few crossings, straight ways."""

import random
from itertools import combinations

import pytest

from jaxbp.drawing.layered import ROW_GAP, layered
from jaxbp.drawing.spread import spread


def random_graph(count, seed):
    rng = random.Random(seed)
    sizes = [(rng.uniform(20, 90), rng.uniform(15, 45)) for _ in range(count)]
    edges = [
        (rng.randrange(max(0, target - 9), target), target)
        for target in range(1, count)
        for _ in range(rng.randint(1, 3))
    ]
    return sizes, edges


@pytest.mark.parametrize("seed", range(3))
def test_edges_go_right_and_nodes_do_not_overlap(seed):
    sizes, edges = random_graph(60, seed)
    placed = layered(sizes, edges)
    for (source, target), way in zip(edges, placed.ways, strict=True):
        path = [placed.centres[source], *way, placed.centres[target]]
        assert all(a[0] < b[0] for a, b in zip(path, path[1:], strict=False))
    boxes = list(zip(placed.centres, sizes, strict=True))
    for ((x, y), (w, h)), ((x_, y_), (w_, h_)) in combinations(boxes, 2):
        apart = abs(x - x_) >= (w + w_) / 2 or abs(y - y_) >= (h + h_) / 2 + ROW_GAP / 2
        assert apart
    for (x, y), (w, h) in boxes:
        assert w / 2 <= x + 1e-9 and x + w / 2 <= placed.width + 1e-9
        assert h / 2 <= y + 1e-9 and y + h / 2 <= placed.height + 1e-9


def test_a_chain_is_straight_and_an_input_stands_before_its_use():
    placed = layered([(30, 20)] * 5, [(0, 1), (1, 2), (2, 3), (4, 3)])
    ys = [y for _, y in placed.centres]
    assert ys[0] == pytest.approx(ys[1]) == pytest.approx(ys[2])
    assert placed.centres[4][0] == placed.centres[2][0]


def test_a_graph_that_can_be_drawn_without_crossings_is():
    edges = [(0, 5), (1, 4), (2, 3), (3, 6), (4, 6), (5, 6)]
    placed = layered([(30, 20)] * 7, edges)
    ends = [(placed.centres[s][1], placed.centres[t][1]) for s, t in edges[:3]]
    assert all((a - b) * (c - d) > 0 for (a, c), (b, d) in combinations(ends, 2))


@pytest.mark.parametrize("sizes", [[], [(10.0, 20.0)]])
def test_the_smallest_graphs(sizes):
    placed = layered(sizes, [])
    assert len(placed.centres) == len(sizes)
    assert (placed.width, placed.height) == (sizes[0] if sizes else (0.0, 0.0))


def test_places_that_collide_stand_around_their_weighted_mean():
    assert spread([0.0, 10.0], [5.0], [1.0, 1.0]) == [0.0, 10.0]
    assert spread([3.0, 3.0], [4.0], [3.0, 1.0]) == [2.0, 6.0]
    assert spread([], [], []) == []
