"""The sequence, forward and backward, against Keras with identical weights: both backends.

Keras is asked for outputs at every time step, the final states, and, by GradientTape with random
gradients on all three, the gradients of input, weights and initial states. float64 is the sharp
gate; float32 is held to what Keras, PyTorch and ONNX Runtime agree on among themselves.
"""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lstm_ref as lr
from tests.cases import CASES, Case, make_case, present
from tests.keras_peer import library_dtype
from tests.peers import require

TOLERANCE = {  # (outputs, gradients relative to the largest)
    "float64": (2e-15, 1e-14),
    "float32": (1e-6, 3e-6),
}


def in_keras(case: Case) -> tuple[list[np.ndarray], dict[str, Any]]:
    """([hs, h, c], gradients by our names) as Keras computes them."""
    keras, tf = require("keras"), require("tensorflow")
    config, params = case.config, case.params
    layer = keras.layers.LSTM(
        params.units,
        activation=config.activation,
        recurrent_activation=config.recurrent_activation,
        use_bias=params.bias is not None,
        return_sequences=True,
        return_state=True,
        go_backwards=config.go_backwards,
        zero_output_for_mask=config.masked_output == "zero",
    )
    B, _, D = case.x.shape
    layer.build((None, None, D))
    weights = {"d_kernel": params.kernel, "d_recurrent_kernel": params.recurrent_kernel}
    if params.bias is not None:
        weights["d_bias"] = params.bias
    layer.set_weights(list(weights.values()))
    zeros = np.zeros((B, params.units), case.x.dtype)
    # Keras' gradients do not survive NaN in masked steps; what is there must not matter to it.
    x = tf.constant(np.nan_to_num(case.x))
    h0, c0 = (tf.constant(zeros if s is None else s) for s in (case.h0, case.c0))
    with tf.GradientTape() as tape:
        tape.watch([x, h0, c0])
        outputs = layer(x, mask=case.mask, initial_state=[h0, c0])
        loss = sum(
            tf.reduce_sum(y * d)
            for y, d in zip(outputs, (case.d_hs, case.d_h, case.d_c), strict=True)
        )
    sources = {"d_x": x, "d_h0": h0, "d_c0": c0}
    sources |= dict(zip(weights, layer.trainable_variables, strict=True))
    gradients = tape.gradient(loss, sources, unconnected_gradients="zero")
    return [y.numpy() for y in outputs], {n: np.asarray(g) for n, g in gradients.items()}


def assert_equals_keras(case: Case, backend: str) -> None:
    """Outputs at every step, final states and all gradients are Keras'."""
    outputs_tolerance, gradients_tolerance = TOLERANCE[case.x.dtype.name]
    expected, expected_gradients = in_keras(case)
    got = case.forward(backend)
    for name, y, e in zip(("hs", "h", "c"), (got.hs, got.h, got.c), expected, strict=True):
        scale = max(1.0, np.abs(e).max())
        np.testing.assert_allclose(
            y, e, rtol=0, atol=outputs_tolerance * scale, err_msg=f"{name} by {backend}"
        )
    gradients = vars(case.backward(got))
    largest = max(np.abs(g).max() for g in expected_gradients.values())
    for name, e in expected_gradients.items():
        np.testing.assert_allclose(
            gradients[name], e, rtol=0, atol=gradients_tolerance * max(largest, 1.0),
            err_msg=f"{name} by {backend}",
        )  # fmt: skip
    assert (gradients["d_bias"] is None) == (case.params.bias is None)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@settings(max_examples=100)
@given(arguments=CASES)
def test_forward_and_backward_equal_keras(dtype: str, arguments: dict[str, Any]) -> None:
    case = make_case(dtype=dtype, **arguments)
    with library_dtype(dtype):
        for backend in ("numpy", "numba"):
            assert_equals_keras(case, backend)


@settings(max_examples=60)
@given(arguments=CASES, sizes=st.tuples(*[st.integers(1, 40)] * 4))
def test_sizes_up_to_40_equal_keras(arguments: dict[str, Any], sizes: Any) -> None:
    case = make_case(**arguments | {"sizes": sizes})
    with library_dtype("float64"):
        for backend in ("numpy", "numba"):
            assert_equals_keras(case, backend)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("mask", ["none", "right", "scattered"])
def test_wider_than_a_vector_equals_keras(mask: str, dtype: str) -> None:
    """Sizes at which the kernels work in whole vectors, with a remainder."""
    case = make_case(7, (9, 12, 11, 37), dtype, mask)
    with library_dtype(dtype):
        for backend in ("numpy", "numba"):
            assert_equals_keras(case, backend)


def test_a_long_sequence_equals_keras() -> None:
    case = make_case(8, (2, 300, 3, 20), "float64", "scattered", masked_output="zero")
    with library_dtype("float64"):
        for backend in ("numpy", "numba"):
            assert_equals_keras(case, backend)


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("sizes", [(0, 3, 2, 4), (3, 0, 2, 4), (0, 0, 1, 1)])
def test_no_rows_and_no_steps_work(sizes: tuple[int, int, int, int], backend: str) -> None:
    """Keras raises here. An empty result is the answer; the state is the initial one."""
    case = make_case(9, sizes)
    out = case.forward(backend)
    np.testing.assert_array_equal(out.h, case.h0)
    np.testing.assert_array_equal(out.c, case.c0)
    gradients = case.backward(out)
    assert gradients.d_x.shape == case.x.shape
    np.testing.assert_array_equal(gradients.d_h0, case.d_h)
    assert not gradients.d_kernel.any()


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("masked_output", ["hold", "zero"])
def test_nan_in_padding_leaves_everything_finite(masked_output: str, backend: str) -> None:
    """Keras' forward pass is finite here and its gradients are NaN; ours are finite too."""
    case = make_case(10, (4, 6, 3, 5), mask="scattered", masked_output=masked_output)
    assert np.isnan(case.x).any()
    out = case.forward(backend)
    clean = case.forward(backend, x=np.nan_to_num(case.x, nan=123.0))
    np.testing.assert_array_equal(out.hs, clean.hs)
    for name, gradient in present(case.backward(out)).items():
        assert np.isfinite(gradient).all(), name
        np.testing.assert_array_equal(gradient, present(case.backward(clean))[name])


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_nan_in_one_row_stays_in_it(backend: str) -> None:
    case = make_case(11, (7, 5, 2, 6))
    x = case.x.copy()
    x[3, 2, 1] = np.nan
    out, clean = case.forward(backend, x=x), case.forward(backend)
    others = np.arange(7) != 3
    np.testing.assert_array_equal(out.hs[others], clean.hs[others])
    assert np.isnan(out.hs[3, 2:]).all()
    np.testing.assert_array_equal(out.hs[3, :2], clean.hs[3, :2])


def test_missing_gradients_mean_zero() -> None:
    for backend in ("numpy", "numba"):
        case = make_case(12, (2, 3, 2, 4))
        out = case.forward(backend)
        for given_one in range(3):
            d = [case.d_hs, case.d_h, case.d_c]
            zeros = [np.zeros_like(v) if n != given_one else v for n, v in enumerate(d)]
            nones = [None if n != given_one else v for n, v in enumerate(d)]
            for a, b in zip(
                present(lr.lstm_backward(*nones, out.cache)).values(),
                present(lr.lstm_backward(*zeros, out.cache)).values(),
                strict=True,
            ):
                np.testing.assert_array_equal(a, b)
