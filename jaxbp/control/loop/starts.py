"""Where a loop's states are kept, so that it can be gone through backwards.

A loop of unknown length runs in blocks of steps; some blocks' starts are stored.

    forward, at most 4 of them:  block 0 1 2 3          stored: 0 1 2 3
                                 block 4: every other   stored: 0 2 4
                                 ... 6, 8: again        stored: 0 4 8
    backward, block 11 first:    from 8: 9, 10, 11 are stored where slots are free
                                 11, 10, 9, 8 are done; from 4: 5, 6, 7; ...

Where more blocks lie between two starts than slots are free, the starts on the way are
chosen as for the least number of steps in all (Griewank & Walther 2000, "Revolve"):
with s slots and r repetitions, C(s + r, s) blocks are gone through. So any number of
blocks is right in any number of slots, and slow only where it is far more than their
square.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from ... import ir


class Starts(NamedTuple):
    """Stored states: a slot for each, and one more for what is not to be kept.

    Fields:
      number: (slots,) int32: the block that starts with the state; -1: none.
      stride: () int32: going forward, every so many blocks are stored.
      states: per carry an array (slots + 1, *shape).
    """

    number: jax.Array
    stride: jax.Array
    states: list

    @classmethod
    def empty(cls, slots: int, state: Sequence) -> "Starts":
        states = [ir.replicate(value, slots + 1) for value in state]
        return cls(jnp.full(slots, -1, jnp.int32), jnp.int32(1), states)

    def offered(self, block, state: Sequence) -> "Starts":
        """Going forward: with the start of `block`, if it is to be stored."""
        slots = self.number.shape[0]
        kept = (self.number >= 0) & (self.number % self.stride == 0)
        full = (jnp.sum(kept, dtype=jnp.int32) >= slots // 2) & (
            block % self.stride == 0
        )
        stride = jnp.where(full, 2 * self.stride, self.stride)
        kept &= self.number % stride == 0
        wanted = block % stride == 0
        place = jnp.where(wanted, jnp.argmin(kept), slots).astype(jnp.int32)
        return self._replace(stride=stride)._stored(place, block, state)

    def _stored(self, place, block, state) -> "Starts":
        here = jnp.arange(self.number.shape[0], dtype=jnp.int32) == place
        number = jnp.where(here, block, self.number)
        states = [
            lax.dynamic_update_index_in_dim(stack, value, place, 0)
            for stack, value in zip(self.states, state, strict=True)
        ]
        return Starts(number, self.stride, states)

    def before(self, block):
        """The last block up to `block` whose start is stored; its slot."""
        known = jnp.where(self.number > block, -1, self.number)
        return jnp.max(known), jnp.argmax(known).astype(jnp.int32)

    def state(self, place) -> list:
        return [
            lax.dynamic_index_in_dim(stack, place, 0, keepdims=False)
            for stack in self.states
        ]

    def thinned(self, block) -> "Starts":
        """Going backward: what lies beyond `block`, or not on the stride, is free."""
        on = (self.number % self.stride == 0) & (self.number <= block)
        return self._replace(number=jnp.where(on, self.number, -1))

    def filled(self, block, advance) -> "Starts":
        """Going backward to `block`: with starts on the way, while slots are free.

        Args:
          advance: advance(state, block, blocks) -> the state so many blocks on from
            the start of `block`.
        """
        size = self.number.shape[0]

        def free(it):
            return size - jnp.sum(
                (it.number >= 0) & (it.number <= block), dtype=jnp.int32
            )

        def wanted(it):
            return (it.before(block)[0] < block) & (free(it) > 0)

        def one(it):
            first, place = it.before(block)
            ahead = stride(block - first + 1, free(it) + 1)
            state = advance(it.state(place), first, ahead)
            used = (it.number >= 0) & (it.number <= block)
            return it._stored(jnp.argmin(used).astype(jnp.int32), first + ahead, state)

        return lax.while_loop(wanted, one, self)


def stride(blocks, slots):
    """How many of `blocks` to go before the next start is stored.

    Args:
      blocks: () int32, 2 or more: to be gone through, from a stored start on.
      slots: () int32, 2 or more: with that of this start.
    """
    count = slots.astype(jnp.float32)
    length = blocks.astype(jnp.float32)

    def more(state):
        repeats, reach = state
        return repeats + 1, reach * (count + repeats + 1) / (repeats + 1)

    start = jnp.float32(0), jnp.float32(1)
    repeats, reach = lax.while_loop(lambda s: s[1] < length, more, start)
    once_less = reach * repeats / (count + repeats)  # C(s + r - 1, s)
    right = once_less * count / (count + repeats - 1)  # C(s + r - 2, s - 1)
    ahead = jnp.round(jnp.minimum(once_less, length - right)).astype(jnp.int32)
    return jnp.clip(ahead, 1, blocks - 1)
