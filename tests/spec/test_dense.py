"""The dense head against Keras, and its errors."""

import numpy as np
import pytest

import lstm_ref as lr
from tests.keras_peer import library_dtype
from tests.peers import require


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("activation", ["linear", "tanh", "relu", "gelu"])
@pytest.mark.parametrize(("H", "K"), [(1, 1), (5, 3), (33, 40), (64, 80)])
def test_forward_and_backward_equal_keras(
    H: int, K: int, activation: str, dtype: str, backend: str, rng: np.random.Generator
) -> None:
    keras, tf = require("keras"), require("tensorflow")
    h, W, b, d_y = (
        rng.normal(size=size).astype(dtype) for size in ((4, 6, H), (H, K), (K,), (4, 6, K))
    )
    W /= np.sqrt(H).astype(dtype)
    with library_dtype(dtype):
        layer = keras.layers.Dense(K, activation=activation)
        layer.build((None, None, H))
        layer.set_weights([W, b])
        source = tf.constant(h)
        with tf.GradientTape() as tape:
            tape.watch(source)
            y = layer(source)
            loss = tf.reduce_sum(y * d_y)
        expected = tape.gradient(loss, [source, *layer.trainable_variables])
    out = lr.dense_forward(h, W, b, activation, keep_cache=True, backend=backend)
    got = lr.dense_backward(d_y, out.cache)
    # Keras' float64 gelu carries constants rounded to float32.
    rtol = 40 * float(np.finfo(dtype).eps) + (1e-7 if activation == "gelu" else 0)
    np.testing.assert_allclose(out.y, y, rtol=rtol, atol=rtol)
    for ours, theirs in zip((got.d_h, got.d_kernel, got.d_bias), expected, strict=True):
        assert ours.dtype == dtype
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol * np.abs(theirs).max())


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_any_leading_axes_and_no_bias(backend: str, rng: np.random.Generator) -> None:
    W = rng.normal(size=(3, 2))
    for shape in ((3,), (5, 3), (2, 4, 3), (0, 4, 3), (2, 0, 3)):
        h = rng.normal(size=shape)
        out = lr.dense_forward(h, W, keep_cache=True, backend=backend)
        np.testing.assert_allclose(out.y, h @ W, atol=1e-15)
        gradients = lr.dense_backward(np.ones_like(out.y), out.cache)
        assert gradients.d_h.shape == shape
        assert gradients.d_bias is None


def test_errors_say_what_is_needed() -> None:
    W, b = np.zeros((3, 2)), np.zeros(2)
    with pytest.raises(lr.ShapeError, match=r"h has shape \(5, 4\).*3 features"):
        lr.dense_forward(np.zeros((5, 4)), W, b)
    with pytest.raises(lr.ShapeError, match=r"bias has shape \(3,\), and \(2,\)"):
        lr.dense_forward(np.zeros((5, 3)), W, np.zeros(3))
    with pytest.raises(lr.ShapeError, match=r"kernel has shape \(3,\)"):
        lr.dense_forward(np.zeros((5, 3)), np.zeros(3), b)
    out = lr.dense_forward(np.zeros((5, 3)), W, b, keep_cache=True)
    with pytest.raises(lr.ShapeError, match=r"d_y has shape \(4, 2\), and \(5, 2\) is needed"):
        lr.dense_backward(np.zeros((4, 2)), out.cache)
    with pytest.raises(lr.DTypeError, match="int64"):
        lr.dense_forward(np.zeros((5, 3)), W.astype(int), b)
