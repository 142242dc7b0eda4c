"""The layout of weights, and that a layout is never older than its weights."""

import gc

import numpy as np
import pytest

import lstm_ref as lr
from lstm_ref.kernels import packing
from lstm_ref.kernels.geometry import PANEL_VECTORS
from tests.cases import make_case, random_params


def test_a_panel_holds_the_four_gates_of_the_same_units(rng: np.random.Generator) -> None:
    """Every weight is where the loops look for it, and the padding is zero."""
    D, H = 3, 21
    params = random_params(D, H, "float64", rng)
    laid_out = packing.lstm_panels(params)
    panels, L = laid_out.weights, packing.lanes(params.kernel)
    assert panels.shape == (3, 1 + D + H, PANEL_VECTORS, L)
    whole = np.concatenate([params.bias[None], params.kernel, params.recurrent_kernel])
    for unit in range(3 * L):
        for gate in range(PANEL_VECTORS):
            packed = panels[unit // L, :, gate, unit % L]
            expected = whole[:, gate * H + unit] if unit < H else 0
            np.testing.assert_array_equal(packed, expected)


def test_columns_in_panels(rng: np.random.Generator) -> None:
    matrix = rng.normal(size=(5, 19))
    for vectors in (1, PANEL_VECTORS):
        panels = packing.column_panels(matrix, vectors)
        joined = panels.transpose(1, 0, 2).reshape(5, -1)
        np.testing.assert_array_equal(joined[:, :19], matrix)
        assert not joined[:, 19:].any()


def test_weights_written_into_are_laid_out_anew() -> None:
    case = make_case(51, (2, 3, 2, 5))
    before = case.forward("numba").hs
    case.params.kernel[0, 0] += 1
    after = case.forward("numba").hs
    assert not np.array_equal(before, after)
    np.testing.assert_allclose(after, case.forward("numpy").hs, atol=1e-15)


def test_fixed_weights_are_copies_laid_out_once_and_forgotten_with_them() -> None:
    gc.collect()
    remembered = len(packing._packed)
    case = make_case(53, (2, 3, 2, 5))
    fixed = case.params.fixed()
    before = case.forward("numba", params=fixed).hs
    assert packing.lstm_panels(fixed) is packing.lstm_panels(fixed)
    assert len(packing._packed) == remembered + 1
    case.params.recurrent_kernel[1, 2] += 1  # the caller's own, and not those
    np.testing.assert_array_equal(case.forward("numba", params=fixed).hs, before)
    np.testing.assert_allclose(before, case.forward("numpy", params=fixed).hs, atol=1e-15)
    with pytest.raises(ValueError, match="read-only"):
        fixed.kernel[0, 0] = 1
    del fixed
    gc.collect()
    assert len(packing._packed) == remembered


def test_read_only_weights_that_were_not_fixed_may_change() -> None:
    """A writable view taken before, or the flag set back: both are seen."""
    case = make_case(52, (2, 3, 2, 5))
    weights = case.params.kernel, case.params.recurrent_kernel, case.params.bias
    views = [w.view() for w in weights]
    for weight in weights:
        weight.flags.writeable = False
    case.forward("numba")
    views[1][1, 2] += 1
    np.testing.assert_allclose(case.forward("numba").hs, case.forward("numpy").hs, atol=1e-15)


def test_a_layers_new_weights_are_seen() -> None:
    layer = lr.layers.LSTM(5, return_sequences=True)
    x = np.random.default_rng(0).normal(size=(2, 3, 2)).astype("float32")
    layer(x)
    assert layer.core_params is layer.core_params
    mine = [w + 0.1 for w in layer.get_weights()]
    layer.set_weights(mine)
    expected = lr.lstm_forward(x, lr.LSTMParams(*mine), backend="numpy").hs
    np.testing.assert_allclose(layer(x), expected, atol=1e-6)
    mine[0][:] = 0  # still the caller's own, and no longer the layer's
    np.testing.assert_allclose(layer(x), expected, atol=1e-6)
