"""Accuracy and confusion on numbers one can count."""

import jax.numpy as jnp
import pytest

from jaxbp.training import accuracy, classifier_metrics, confusion

SCORES = [[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]]  # classes 1 0 1 0


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32, jnp.float64])
@pytest.mark.parametrize("label_dtype", [jnp.uint8, jnp.int32, jnp.int64])
def test_accuracy(dtype, label_dtype):
    labels = jnp.array([1, 0, 0, 0], label_dtype)
    found = accuracy(jnp.array(SCORES, dtype), labels)
    assert found == 0.75
    assert found.dtype == (jnp.float64 if dtype == jnp.float64 else jnp.float32)


def test_confusion():
    found = confusion(jnp.array([0, 1, 2, 1, 1]), jnp.array([0, 1, 2, 2, 2]), 4)
    assert found.tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 2, 1, 0], [0, 0, 0, 0]]


def test_classifier_metrics():
    metrics = classifier_metrics(lambda params, x: params * x, lambda y, t: y.sum())
    found = metrics(2.0, jnp.array(SCORES), jnp.array([1, 0, 0, 0]))
    assert found["accuracy"] == 0.75 and found["loss"] == pytest.approx(8)
