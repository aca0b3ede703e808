"""One example of each public function, for `help`; `tests/test_examples.py` runs them.

They stand here and not beside the functions: a reader of the public door finds all of
them on a page, and whoever changes a function finds what its users were shown.
"""

# What all of them begin with.
SETTING = """\
>>> import jax.numpy as jnp
>>> import jaxbp
"""

EXAMPLES = {
    "grad": """\
>>> float(jaxbp.grad(lambda x: x**3)(2.0))
12.0""",
    "value_and_grad": """\
>>> value, slope = jaxbp.value_and_grad(lambda x: x**3)(2.0)
>>> float(value), float(slope)
(8.0, 12.0)""",
    "checkpointed": """\
>>> f = jaxbp.checkpointed(lambda x: jnp.sum(jnp.sin(jnp.sin(x))), budget="1MB")
>>> float(jaxbp.grad(f)(jnp.zeros(3))[0])
1.0""",
    "jvp": """\
>>> value, slope = jaxbp.jvp(lambda x, y: x * y, (2.0, 5.0), (1.0, 0.0))
>>> float(value), float(slope)
(10.0, 5.0)""",
    "vjp": """\
>>> value, pullback = jaxbp.vjp(lambda x, y: x * y, 2.0, 5.0)
>>> [float(x_bar) for x_bar in pullback(1.0)]
[5.0, 2.0]""",
    "linearize": """\
>>> value, pushforward = jaxbp.linearize(lambda x: x**3, 2.0)
>>> float(pushforward(1.0)), float(pushforward(10.0))
(12.0, 120.0)""",
    "jacfwd": """\
>>> jaxbp.jacfwd(lambda x: x**2)(jnp.array([1.0, 3.0])).tolist()
[[2.0, 0.0], [0.0, 6.0]]""",
    "jacrev": """\
>>> jaxbp.jacrev(lambda x: x**2)(jnp.array([1.0, 3.0])).tolist()
[[2.0, 0.0], [0.0, 6.0]]""",
    "jacobian": """\
>>> jaxbp.jacobian(lambda x: x**2)(jnp.array([1.0, 3.0])).tolist()
[[2.0, 0.0], [0.0, 6.0]]
>>> plan = jaxbp.jacobian(lambda x, a: a @ jnp.tanh(x)).plan(
...     jnp.ones(100), jnp.ones((100, 100))
... )
>>> plan.chosen.name in ("forward", "reverse")
False""",
    "laplacian": """\
>>> float(jaxbp.laplacian(lambda x: x[0] ** 2 * x[1])(jnp.array([2.0, 5.0])))
10.0""",
    "hessian_diagonal": """\
>>> jaxbp.hessian_diagonal(lambda x: x[0] ** 2 * x[1])(jnp.array([2.0, 5.0])).tolist()
[10.0, 0.0]""",
    "hessian": """\
>>> jaxbp.hessian(lambda x: x[0] * x[1])(jnp.array([2.0, 5.0])).tolist()
[[0.0, 1.0], [1.0, 0.0]]""",
    "hvp": """\
>>> x, v = jnp.array([2.0, 5.0]), jnp.array([1.0, 0.0])
>>> jaxbp.hvp(lambda x: x[0] * x[1], (x,), (v,)).tolist()
[0.0, 1.0]""",
    "check": """\
>>> report = jaxbp.check(lambda x: jnp.sum(jnp.sin(x)), jnp.array([0.3, 2.0]))
>>> bool(report)
True""",
    "Checker": """\
>>> again = jaxbp.Checker(lambda x: jnp.sum(jnp.sin(x)))
>>> all(again(jnp.array([x, 2.0])) for x in (0.3, 1.7))
True""",
    "cost": """\
>>> report = jaxbp.cost(lambda w, x: jnp.sum(x @ w), jnp.ones(3), jnp.ones((5, 3)))
>>> report.inputs, report.outputs, report.cheaper_mode
(3, 1, 'reverse')""",
    "tape": """\
>>> report = jaxbp.tape(lambda x: jnp.sum(jnp.tanh(x)), jnp.ones(3, jnp.float32))
>>> row = report.rows[0]
>>> row.tape_bytes, row.type, row.why
(12, 'float32[3]', 'slope of `tanh` needs its output')""",
    "trace": """\
>>> report = jaxbp.trace(lambda x: jnp.log(x) * x, 2.0)
>>> [row.equation for row in report.rows]
['', 'log(x)', 'v1 × x', 'v2']
>>> float(report["v1"].cotangents[0])
2.0""",
    "check_rules": """\
>>> import jax
>>> wrong = jax.custom_vjp(jnp.sin)
>>> wrong.defvjp(lambda x: (jnp.sin(x), x), lambda x, bar: (bar * -jnp.cos(x),))
>>> report = jaxbp.check_rules(lambda x: wrong(x).sum(), jnp.array([0.3, 2.0]))
>>> [(row.name, row.verdict, row.pattern) for row in report.rows]
[('sin', 'differ', 'It is the right one with its sign turned.')]""",
    "explain_nan": """\
>>> f = lambda x: jnp.sum(jnp.where(x > 0, jnp.sqrt(x), 0.0))
>>> report = jaxbp.explain_nan(f, jnp.array([1.0, 0.0]))
>>> [(b.primitive, b.kind, b.index) for b in report.births]
[('sqrt', '0 x inf', (1,))]""",
    "growth": """\
>>> import jax
>>> f = lambda x: jax.lax.fori_loop(0, 20, lambda i, h: 2 * h, x)
>>> report = jaxbp.growth(f, 1.0)
>>> report.rows[0].steps[0], report.first_step(1000.0)[1]
(524288.0, 9)""",
    "coverage": """\
>>> jaxbp.coverage().matching("cumsum").rows[0].forward
'linear'""",
    "LinearProgram": """\
>>> program = jaxbp.linearize(lambda x: -x, jnp.ones(3))[1].program
>>> len(program.structure.edges), repr(program).startswith("LinearProgram: (x0 ")
(1, True)
>>> program.pull([jnp.ones(3)])[0].tolist()
[-1.0, -1.0, -1.0]""",
    "Pushforward": """\
>>> value, pushforward = jaxbp.linearize(lambda x: x**3, 2.0)
>>> isinstance(pushforward, jaxbp.Pushforward), float(pushforward(1.0))
(True, 12.0)""",
    "Pullback": """\
>>> value, pullback = jaxbp.vjp(lambda x: x**3, 2.0)
>>> isinstance(pullback, jaxbp.Pullback), float(pullback(1.0)[0])
(True, 12.0)""",
    "Options": """\
>>> options = jaxbp.Options(scan_residuals="recompute")
>>> float(jaxbp.grad(lambda x: x**2, options=options)(3.0))
6.0""",
    "options": """\
>>> with jaxbp.options(sums_early=False):
...     float(jaxbp.grad(lambda x: x**2)(3.0))
6.0""",
    "association": """\
>>> with jaxbp.association(False):
...     float(jaxbp.grad(lambda x: x**2)(3.0))
6.0""",
    "foreign": """\
>>> with jaxbp.foreign("jax"):
...     float(jaxbp.grad(lambda x: x**2)(3.0))
6.0""",
    "loops": """\
>>> with jaxbp.loops("recompute"):
...     float(jaxbp.grad(lambda x: x**2)(3.0))
6.0""",
    "strict_custom_vjp": """\
>>> with jaxbp.strict_custom_vjp():
...     float(jaxbp.grad(lambda x: x**2)(3.0))
6.0""",
}


def with_examples(names: dict) -> None:
    """Adds to the docstrings of those functions that are here already their example."""
    for name, text in EXAMPLES.items():
        if name in names:
            add_example(names[name], text)


def add_example(function, text: str) -> None:
    """An example at the end of a docstring, once."""
    if "\nExample:\n" not in (function.__doc__ or ""):
        lines = (SETTING + text).replace("\n", "\n  ")
        function.__doc__ = f"{_dedented(function.__doc__)}\n\nExample:\n  {lines}\n"


def _dedented(text: str | None) -> str:
    import inspect  # loaded by jax already

    return inspect.cleandoc(text or "")
