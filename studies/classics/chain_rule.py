"""The chain rule is a sum over paths: in what order must a graph be walked?

With b1 = 2a, b2 = 3a + b1, c = 4 b1 + 5 b2 three paths lead from a to c:

    dc/da = 4*2 + 5*1*2 + 5*3 = 33

Reverse mode adds up dc/db1 = 4 + 5 = 9 completely before it goes on to a: it walks the
graph in reverse topological order. "Run the node's `_backward`, then recurse into its
parents" is a wrong order that passes many tests: it hands a node's gradient on while it
is still growing, and counts paths twice or not at all.

Source: https://github.com/karpathy/micrograd (its README's example); the sum over
paths: Bauer 1974, doi:10.1137/0711064.
Command: jaxbp classics chain_rule
"""

import math

import jax.numpy as jnp

import jaxbp
from jaxbp.classics.classic import Classic, run
from jaxbp.classics.known import exactly, printed, within
from jaxbp.scalar import Value
from jaxbp.study import plots


def two_routes(a):
    b1 = 2 * a
    b2 = 3 * a + b1
    return 4 * b1 + 5 * b2


def readme(a, b):
    """The example of micrograd's README, line by line."""
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + relu(b + a)
    d += 3 * d + relu(b - a)
    e = c - d
    f = e**2
    g = f / 2.0
    g += 10.0 / f
    return g


def relu(x):
    return x.relu() if isinstance(x, Value) else jnp.maximum(x, 0)


CASES = {  # name: function, where, value, gradient
    "(x + 2)^2 + x^3": (lambda x: (x + 2) ** 2 + x**3, (5.0,), 174, (89,)),
    "two routes": (two_routes, (1.0,), 33, (33,)),
    "b + b^2, b = a^2": (lambda a: shared(a), (2.0,), 20, (36,)),
    "u (u + 1), u = a^2": (lambda a: product(a**2, swap=False), (3.0,), 90, (114,)),
    "(u + 1) u, u = a^2": (lambda a: product(a**2, swap=True), (3.0,), 90, (114,)),
    "(a + b) + a b + (a + b) a b": (lambda a, b: mixed(a, b), (2.0, 3.0), 41, (25, 19)),
}


def shared(a):
    b = a**2
    return b + b**2


def product(u, swap):
    v = u + 1
    return v * u if swap else u * v


def mixed(a, b):
    s, p = a + b, a * b
    return s + p + s * p


def topological(f, point):
    """Value and gradient by the tape's own sweep."""
    inputs = [Value(x) for x in point]
    out = f(*inputs)
    out.backward()
    return out.data, [x.grad for x in inputs]


def recursive(f, point):
    """The wrong sweep: a node's gradient is passed on before it is complete."""
    inputs = [Value(x) for x in point]
    out = f(*inputs)
    grads = {out: 1.0}

    def walk(node):
        for parent, slope in zip(node.parents, node.slopes, strict=True):
            grads[parent] = grads.get(parent, 0.0) + slope * grads[node]
        for parent in node.parents:
            walk(parent)

    walk(out)
    return [grads.get(x, 0.0) for x in inputs]


def compute(quick):
    numbers, wrong = {}, {}
    for name, (f, point, _, _) in CASES.items():
        value, grads = topological(f, point)
        numbers[f"{name}: value"] = value
        numbers |= {f"{name}: d{k + 1}": g for k, g in enumerate(grads)}
        wrong[name] = recursive(f, point)
        gaps = [abs(w - g) for w, g in zip(wrong[name], grads, strict=True)]
        numbers[f"{name}: the recursive order is off by"] = max(gaps)
    value, grads = topological(readme, (-4.0, 2.0))
    names = ("g", "dg/da", "dg/db")
    numbers |= {f"README {n}": v for n, v in zip(names, (value, *grads), strict=True)}
    runs = [topological(readme, (-4.0, 2.0)) for _ in range(5)]
    numbers["README, different results in 5 more runs"] = sum(
        again != (value, grads) for again in runs
    )
    engine = jaxbp.grad(readme, (0, 1))(-4.0, 2.0)
    numbers["README, tape against engine"] = max(
        abs(float(e) - g) for e, g in zip(engine, grads, strict=True)
    )
    a = Value(1.0)
    b1 = 2 * a
    c = 4 * b1 + 5 * (3 * a + b1)
    c.backward()
    numbers["two routes: dc/db1"] = b1.grad
    return numbers, wrong


NODES = {"a": (0, 0.5), "b1": (1, 1), "b2": (1, 0), "c": (2, 0.5)}
EDGES = {
    ("a", "b1"): 2,
    ("a", "b2"): 3,
    ("b1", "b2"): 1,
    ("b1", "c"): 4,
    ("b2", "c"): 5,
}
PATHS = {("a", "b1", "c"): "blue", ("a", "b1", "b2", "c"): "vermilion",
         ("a", "b2", "c"): "green"}  # fmt: skip


def draw(wrong, axes):
    paths, bars = axes
    for k, (path, colour) in enumerate(PATHS.items()):
        shift = 0.025 * (k - 1)
        places = [(NODES[n][0], NODES[n][1] + shift) for n in path]
        colour = plots.COLOURS[colour]
        paths.plot(*zip(*places, strict=True), color=colour, linewidth=2.5, zorder=1)
        slopes = [EDGES[edge] for edge in zip(path[:-1], path[1:], strict=True)]
        told = " · ".join(map(str, reversed(slopes))) + f" = {math.prod(slopes)}"
        paths.text(0.3, -0.32 - 0.13 * k, f"{' → '.join(path)}:  {told}", color=colour)
    total = sum(
        math.prod(EDGES[e] for e in zip(p[:-1], p[1:], strict=True)) for p in PATHS
    )
    paths.text(0.3, -0.74, f"sum over paths: dc/da = {total}", weight="bold")
    for (start, end), slope in EDGES.items():
        (x0, y0), (x1, y1) = NODES[start], NODES[end]
        box = dict(facecolor="white", edgecolor="none", pad=1.5)
        paths.text((x0 + x1) / 2, (y0 + y1) / 2, str(slope), ha="center", va="center",
                   bbox=box)  # fmt: skip
    for name, (x, y) in NODES.items():
        paths.scatter(x, y, s=700, color="white", edgecolor=plots.INK, zorder=2)
        paths.text(x, y, name, ha="center", va="center", zorder=3)
    paths.set(
        title="slopes on edges, one colour a path", xlim=(-0.3, 2.3), ylim=(-0.85, 1.2)
    )
    paths.axis("off")
    for k, (name, (_, _, _, right)) in enumerate(CASES.items()):
        bars.plot(right[0], k, "o", color=plots.COLOURS["blue"], markersize=8)
        bars.plot(
            wrong[name][0], k, "x", color=plots.COLOURS["vermilion"], markersize=8
        )
    bars.set_yticks(range(len(CASES)), list(CASES))
    bars.invert_yaxis()
    bars.set(title="gradient: o topological order, x recursive order", xlabel="d/da")


def answer(numbers):
    names = [f"{name}: the recursive order is off by" for name in CASES]
    fooled = sum(numbers[name] == 0 for name in names)
    return (
        f"dc/da = {numbers['two routes: d1']:g}, added up over three paths. Only the "
        f"topological order is right everywhere; the recursive one passes {fooled} of "
        f"{len(CASES)} examples."
    )


KNOWN = {}
for _name, (_, _, _value, _grads) in CASES.items():
    KNOWN[f"{_name}: value"] = exactly(_value)
    KNOWN |= {f"{_name}: d{k + 1}": exactly(g) for k, g in enumerate(_grads)}

classic = Classic(
    file=__file__,
    text=__doc__,
    systems={4: "multivariate chain rule: a sum over paths"},
    compute=compute,
    known={
        **KNOWN,
        "two routes: dc/db1": exactly(9),
        "(x + 2)^2 + x^3: the recursive order is off by": exactly(0),
        "README g": printed("24.70408163265306", "published"),
        "README dg/da": printed("138.83381924198252", "published"),
        "README dg/db": printed("645.5772594752186", "published"),
        "README, different results in 5 more runs": exactly(0),
        "README, tape against engine": within(0, 1e-12, "witnesses agree"),
    },
    draw=draw,
    answer=answer,
    panels=(1, 2),
    inches=(5.2, 4.2),
)

if __name__ == "__main__":
    run(classic)
