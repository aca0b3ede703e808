"""A genetic algorithm against backpropagation: how many evaluations until it is learnt?

The same tanh network on XOR, the same target (mean square below .1). The genetic
algorithm keeps a population, lets the better of two parents inherit, mixes and mutates,
and needs one evaluation of the loss for every child; backpropagation takes one step for
each evaluation with its gradient, which costs about three evaluations. The gap grows
with the number of parameters, as a random change is right in fewer and fewer of them.

Source: Montana and Davis 1989, IJCAI (genetic training of networks); Whitley 1989.
Command: jaxbp classics genetic
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

import jaxbp
from jaxbp import layers, problems, training
from jaxbp.study import plots
from jaxbp.study.classic import Classic, run
from jaxbp.study.known import INDEPENDENT, SOUGHT, at_least, between

INPUTS, XOR = problems.xor(np.float64)
TARGETS = 2.0 * XOR[:, None] - 1
HIDDEN, STARTS, GOAL = (4, 8, 16, 32), 30, 0.1
POPULATION, GENERATIONS, MUTATION, STEPS = 20, (900, 225), 0.3, 200  # full, quick


def genetic(f, key, size, generations):
    """Evaluations until the best of the population is below the goal."""

    def born(key, parents, scores):
        """One child: parents by tournament, uniform crossover, a normal mutation."""
        picks, mix, move = jax.random.split(key, 3)
        rivals = jax.random.randint(picks, (2, 2), 0, POPULATION)
        chosen = rivals[jnp.arange(2), jnp.argmin(scores[rivals], axis=1)]
        mother, father = parents[chosen]
        child = jnp.where(jax.random.bernoulli(mix, 0.5, (size,)), mother, father)
        return child + MUTATION * jax.random.normal(move, (size,))

    def generation(state, key):
        people, scores = state
        keys = jax.random.split(key, POPULATION - 1)
        children = jax.vmap(lambda key: born(key, people, scores))(keys)
        elite = people[jnp.argmin(scores)]
        people = jnp.concatenate([elite[None], children])
        scores = jnp.concatenate([scores.min()[None], jax.vmap(f)(children)])
        return (people, scores), scores.min()

    first, rest = jax.random.split(key)
    people = jax.random.normal(first, (POPULATION, size))
    state = (people, jax.vmap(f)(people))
    _, best = jax.lax.scan(generation, state, jax.random.split(rest, generations))
    best = jnp.concatenate([state[1].min()[None], best])
    after = jnp.argmax(best < GOAL)
    return jnp.where(
        jnp.any(best < GOAL), POPULATION + after * (POPULATION - 1), -1
    ), best


def backprop(model, key):
    """Steps until the loss is below the goal."""
    f = layers.loss_fn(model, layers.mean_squared_error)
    rows = jnp.tile(jnp.arange(4, dtype=jnp.int32), (STEPS, 1))
    params = model.init(key, jnp.float64)
    step = jaxbp.value_and_grad(f)
    _, losses = training.descend(
        step, optax.adam(0.05), params, (INPUTS, TARGETS), rows
    )
    return jnp.where(jnp.any(losses < GOAL), jnp.argmax(losses < GOAL), -1), losses


@partial(jax.jit, static_argnames=("model", "generations"))
def race(keys, model, generations):
    """Both, from every start."""
    example, back = ravel_pytree(model.init(keys[0], jnp.float64))
    loss = layers.loss_fn(model, layers.mean_squared_error)
    f = lambda w: loss(back(w), INPUTS, TARGETS)  # noqa: E731
    by_genes = jax.vmap(lambda key: genetic(f, key, example.size, generations))(keys)
    return by_genes, jax.vmap(lambda key: backprop(model, key))(keys)


def compute(quick):
    keys = jax.random.split(jax.random.key(0), STARTS)
    numbers, curves = {}, {}
    for hidden in HIDDEN[:1] if quick else HIDDEN:
        model = layers.mlp([2, hidden, 1], activation="tanh")
        n = 4 * hidden + 1
        (evaluations, best), (steps, losses) = jax.device_get(
            race(keys, model, GENERATIONS[quick])
        )
        reached = (evaluations >= 0) & (steps >= 0)
        numbers[f"starts of {STARTS} that reach the goal both ways, n = {n}"] = (
            reached.sum()
        )
        middle = np.median(evaluations[evaluations >= 0])
        numbers[f"evaluations of the genetic algorithm, n = {n}"] = middle
        numbers[f"steps of backpropagation, n = {n}"] = np.median(steps[steps >= 0])
        numbers[f"evaluations over steps, n = {n}"] = middle / np.median(
            steps[steps >= 0]
        )
        curves[n] = best, losses
    ratios = [v for k, v in numbers.items() if k.startswith("evaluations over")]
    numbers["growth of the gap, smallest to largest"] = ratios[-1] / ratios[0]
    return numbers, (numbers, curves)


def draw(drawn, axes):
    numbers, curves = drawn
    sizes = list(curves)
    for name, colour in (("evaluations of the genetic algorithm", "vermilion"),
                         ("steps of backpropagation", "blue")):  # fmt: skip
        label = name.partition(" of ")[2].removeprefix("the ")
        plots.line(
            axes[0], sizes, [numbers[f"{name}, n = {n}"] for n in sizes], label, colour
        )
    title = "evaluations, or steps, until the goal"
    plots.log_log(axes[0], "parameters n", title)
    axes[0].set_xticks(sizes, sizes)
    axes[0].minorticks_off()
    best, losses = curves[sizes[0]]
    spent = POPULATION + (POPULATION - 1) * np.arange(best.shape[1])
    axes[1].plot(
        spent, best.T, color=plots.COLOURS["vermilion"], alpha=0.5, linewidth=1
    )
    axes[1].plot(np.arange(1, STEPS + 1), losses.T, color=plots.COLOURS["blue"],
                 alpha=0.5, linewidth=1)  # fmt: skip
    axes[1].axhline(GOAL, color=plots.INK, linestyle=":")
    axes[1].annotate(f"goal: {GOAL}", (1, GOAL), (0, -11), textcoords="offset points")
    plots.log_log(
        axes[1], "evaluations, or steps", f"loss of {STARTS} starts, n = {sizes[0]}"
    )


def answer(numbers):
    evaluations, steps = (
        numbers[f"{name}, n = 17"]
        for name in ("evaluations of the genetic algorithm", "steps of backpropagation")
    )
    return (
        f"With 17 parameters {evaluations:.0f} evaluations against {steps:.0f} steps; "
        f"the gap grows "
        f"{numbers['growth of the gap, smallest to largest']:.1f} times with the size."
    )


classic = Classic(
    file=__file__,
    text=__doc__,
    systems={21: "genetic algorithm against backpropagation"},
    compute=compute,
    known={
        # Six medians of ten starts were between 685 and 989.
        "evaluations of the genetic algorithm, n = 17": between(
            650, 1050, f"750 to 900; {SOUGHT}"
        ),
        "steps of backpropagation, n = 17": between(27, 76, INDEPENDENT),
        "evaluations over steps, n = 17": at_least(5),
        "growth of the gap, smallest to largest": at_least(1.2),
    },
    quick_known={"growth of the gap, smallest to largest": None},
    draw=draw,
    answer=answer,
    panels=(1, 2),
)

if __name__ == "__main__":
    run(classic)
