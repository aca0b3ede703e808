"""Collectives counted from programs, and read from XLA's: on four devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import AbstractMesh, AxisType, NamedSharding
from jax.sharding import PartitionSpec as Spec

import jaxbp
from jaxbp import costs, scale
from jaxbp.costs import Collective, Link

ROWS, WHOLE = Spec("data"), Spec()


@pytest.fixture(scope="module")
def mesh():
    if jax.device_count() < 4:
        pytest.skip("needs four devices; XLA_FLAGS in conftest.py makes them on a CPU")
    return scale.make_mesh("data=2,model=2")


def on(mesh, array, spec):
    return jax.device_put(array, NamedSharding(mesh, spec))


def point(mesh, x=ROWS, w=WHOLE, v=WHOLE):
    """x (8, 4), w (4, 6), v (6, 2)."""
    arrays = (
        np.linspace(-1, 1, n * m).reshape(n, m) for n, m in ((8, 4), (4, 6), (6, 2))
    )
    return [on(mesh, a, s) for a, s in zip(arrays, (x, w, v), strict=True)]


def loss(x, w, v):
    return jnp.mean((jnp.tanh(x @ w) @ v) ** 2)


def xla_bytes(f, *args, **options):
    return costs.moved_bytes(
        costs.compiled_collectives(jax.jit(f, **options).lower(*args).compile())
    )


LAYOUTS = {
    "data": {},
    "tensor": dict(w=Spec(None, "model"), v=Spec("model")),
    "features": dict(x=Spec("data", "model"), w=Spec("model")),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_gradient_moves_what_xla_moves(mesh, layout):
    args = point(mesh, **LAYOUTS[layout])
    out = (NamedSharding(mesh, WHOLE), tuple(a.sharding for a in args[1:]))
    both = jaxbp.value_and_grad(loss, (1, 2))
    found = costs.moved_bytes(costs.collectives(both, *args, out_shardings=out))
    expected = xla_bytes(both, *args, out_shardings=out)
    assert expected > 0
    np.testing.assert_allclose(found, expected, rtol=0.05)
    report = jaxbp.cost(loss, *args, argnums=(1, 2))
    parts = report.f.collective_bytes.low + report.pullback.collective_bytes.low
    np.testing.assert_allclose(parts, expected, rtol=0.05)


def mapped(mesh):
    def body(x, w, v):
        y = jnp.tanh(lax.all_gather(x, "data", tiled=True) @ w)
        y = lax.psum_scatter(y, "data", tiled=True)
        y = y + lax.ppermute(y, "data", [(0, 1), (1, 0)])
        swapped = lax.all_to_all(y, "data", 1, 0, tiled=True)
        return lax.psum(jnp.sum(swapped**2) + jnp.sum((y @ v) ** 2), "data")

    specs = (ROWS, WHOLE, WHOLE)
    return jax.shard_map(body, mesh=mesh, in_specs=specs, out_specs=WHOLE)


def test_a_mapped_program_moves_what_xla_moves(mesh):
    f, args = mapped(mesh), point(mesh)
    report = jaxbp.cost(f, *args, argnums=(0, 1, 2))
    assert report.f.collective_bytes.low == xla_bytes(f, *args)
    kinds = {each.kind for each in costs.collectives(f, *args)}
    assert kinds == {
        "all-gather", "reduce-scatter", "collective-permute", "all-to-all", "all-reduce"
    }  # fmt: skip
    both = report.f.collective_bytes.low + report.pullback.collective_bytes.low
    expected = xla_bytes(jaxbp.value_and_grad(f, (0, 1, 2)), *args)
    np.testing.assert_allclose(both, expected, rtol=0.05)
    assert report.pushforward.collective_bytes.low == report.f.collective_bytes.low
    assert "between devices" in str(report)
    assert report.as_dicts()[0]["collective_bytes_min"] > 0


def test_in_loops_as_often_as_they_run(mesh):
    def looped(x, w):
        def step(carry, _):
            return jnp.tanh(carry @ w), jnp.sum(carry**2)

        carry, sums = lax.scan(step, x, None, length=5)
        return jnp.sum(carry) + jnp.sum(sums)

    x = on(mesh, np.ones((8, 4)), ROWS)
    w = on(mesh, np.eye(4), WHOLE)
    gradient = jaxbp.grad(looped, 1)
    out = NamedSharding(mesh, WHOLE)
    found = costs.moved_bytes(costs.collectives(looped, x, w))
    np.testing.assert_allclose(found, xla_bytes(looped, x, w), rtol=0.05)
    assert costs.moved_bytes(costs.collectives(gradient, x, w, out_shardings=out)) > 0


def test_a_jit_that_says_where_its_arguments_lie(mesh):
    shardings = tuple(NamedSharding(mesh, s) for s in (ROWS, WHOLE, WHOLE))
    args = [np.asarray(a) for a in point(mesh)]
    report = jaxbp.cost(jax.jit(loss, in_shardings=shardings), *args, argnums=(1, 2))
    assert report.f.collective_bytes.low == 8  # the mean, in float64, over 2 devices
    assert report.pullback.collective_bytes.low == 8 * (4 * 6 + 6 * 2)


def test_devices_that_are_not_there():
    """4,096 of them, by types alone; a sum that is divided at once is scattered."""
    wide = AbstractMesh((4096,), ("data",), axis_types=(AxisType.Auto,))

    def type_of(shape, spec):
        sharding = NamedSharding(wide, spec)
        return jax.ShapeDtypeStruct(shape, jnp.float32, sharding=sharding)

    x, w = type_of((8192, 4096), ROWS), type_of((4096, 8), WHOLE)

    def gradient(x, w):
        return jax.lax.with_sharding_constraint(
            x.T @ (x @ w), NamedSharding(wide, ROWS)
        )

    for scatters, kind in ((True, "reduce-scatter"), (False, "all-reduce")):
        (found,) = costs.collectives(gradient, x, w, scatters=scatters)
        assert found == Collective(kind, 4096 * 8 * 4, 4096)


def test_nothing_moves_on_one_device():
    x, w = jnp.ones((3, 2)), jnp.ones((2, 2))
    assert costs.collectives(lambda x, w: x @ w, x, w) == []
    report = jaxbp.cost(lambda x, w: jnp.sum(x @ w), x, w)
    assert report.f.collective_bytes.high == 0 and "between" not in str(report)
    assert "collective_bytes_min" not in report.as_dicts()[0]


def test_what_has_no_entry_is_gathered_and_said(mesh):
    x = on(mesh, np.linspace(1, 2, 8), Spec("data"))
    report = jaxbp.cost(lambda x: jnp.sum(lax.top_k(x, 8)[0]), x)
    assert any("no entry for 'top_k'" in remark for remark in report.remarks)
    assert report.f.collective_bytes.low == 32


PROGRAM = """
HloModule jit_f, num_partitions=8

%body (p: (s32[], f32[8])) -> (s32[], f32[8]) {
  %a = f32[8]{0} all-reduce(%x), replica_groups={{0,1},{2,3},{4,5},{6,7}}, to_apply=%add
}

ENTRY %main (p: f32[8]) -> f32[8] {
  %w = (s32[], f32[8]) while(%t), condition=%c, body=%body, backend_config={"known_trip_count":{"n":"7"}}
  %g = (bf16[4,2], bf16[16,2]) all-gather-start(%y), replica_groups=[2,4]<=[8], dimensions={0}
  %s = f32[2]{0} reduce-scatter(%z), replica_groups=mesh['a'=2,'b'=4] {'b'}, dimensions={0}
  %p = (f32[3], f32[3], u32[], u32[]) collective-permute-start(%q), source_target_pairs={{0,1}}
  %r = (f32[], c64[5]) all-reduce(%u, %v), replica_groups={}
}
"""  # noqa: E501


def test_the_text_of_a_compiled_program():
    assert costs.compiled_collectives(PROGRAM) == [
        Collective("all-reduce", 32, 2, 7),
        Collective("all-gather", 64, 4),
        Collective("reduce-scatter", 32, 4),
        Collective("collective-permute", 12, 2),
        Collective("all-reduce", 4, 8),
        Collective("all-reduce", 40, 8),
    ]


def test_rings_and_trees():
    each = Collective("all-reduce", 800, 8)
    assert (each.moved_bytes, each.steps) == (1400, 14)
    assert Link(100.0).time_s([each]) == 14  # a ring moves less
    assert Link(1e12, 1.0).time_s([each]) == pytest.approx(6)  # a tree waits less
    gather = Collective("all-gather", 800, 8, times=2)
    assert gather.moved_bytes == 1400 and Link(1e12, 1.0).time_s(
        [gather]
    ) == pytest.approx(6)
    assert Collective("all-reduce", 800, 1).moved_bytes == 0
