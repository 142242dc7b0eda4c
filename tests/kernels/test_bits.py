"""Where the kernels promise the same bits, they are compared bit by bit."""

from typing import Any

import numpy as np
import pytest

import lstm_ref as lr
from lstm_ref.kernels import lstm
from tests.cases import Case, make_case, present

LSTMS = [
    {},
    {"peephole": True, "clip": 0.5, "projection": 7},
    {"input_forget": True, "output_activation": "softplus", "projection": 40},
    {"dropout": "all gates", "activation": ("scaled_tanh", 1.2, 0.7)},
    {"dropout": "each gate", "peephole": True, "projection": 3},
]
"""The plain LSTM, and what some do besides."""


def some_rows(case: Case, rows: Any) -> dict[str, Any]:
    """The arguments that make a case of a choice of its rows."""
    dropout = case.dropout and lr.Dropout(
        *(None if v is None else v[..., rows, :] for v in (case.dropout.x, case.dropout.h))
    )
    mask = None if case.mask is None else case.mask[rows]
    arrays = {name: getattr(case, name)[rows] for name in ("x", "h0", "c0")}
    return {**arrays, "mask": mask, "dropout": dropout}


SIZES = [(13, 6, 5, 37), (7, 9, 1, 16), (8, 3, 70, 65), (6, 5, 2, 8), (7, 31, 3, 18)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mask", ["none", "scattered"])
@pytest.mark.parametrize("options", LSTMS, ids=str)
@pytest.mark.parametrize("sizes", SIZES)
def test_a_row_alone_has_the_bits_it_has_in_a_batch(
    sizes: tuple[int, int, int, int], options: dict[str, Any], mask: str, dtype: str
) -> None:
    case = make_case(31, sizes, dtype, mask, **options)
    together = case.forward("numba")
    W = np.random.default_rng(1).normal(size=(together.h.shape[1], 3)).astype(dtype)
    head = lr.dense_forward(together.hs, W, activation="tanh", backend="numba").y
    for row in range(sizes[0]):
        alone = case.forward("numba", **some_rows(case, slice(row, row + 1)))
        for name in ("hs", "h", "c"):
            np.testing.assert_array_equal(getattr(alone, name)[0], getattr(together, name)[row])
        y = lr.dense_forward(alone.hs, W, activation="tanh", backend="numba").y
        np.testing.assert_array_equal(y[0], head[row])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_order_of_rows_does_not_matter(dtype: str, rng: np.random.Generator) -> None:
    case = make_case(32, (11, 5, 3, 20), dtype)
    order = rng.permutation(11)
    moved = case.forward("numba", x=case.x[order], h0=case.h0[order], c0=case.c0[order])
    np.testing.assert_array_equal(moved.hs, case.forward("numba").hs[order])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_padding_does_not_change_the_valid_steps(dtype: str) -> None:
    """A sequence with masked steps around it gives the bits it gives by itself."""
    case = make_case(33, (4, 6, 3, 21), dtype)
    x = np.full((4, 9, 3), np.nan, dtype)
    mask = np.zeros((4, 9), bool)
    x[:, 2:8], mask[:, 2:8] = case.x, True
    padded, plain = case.forward("numba", x=x, mask=mask), case.forward("numba")
    np.testing.assert_array_equal(padded.hs[:, 2:8], plain.hs)
    np.testing.assert_array_equal(padded.h, plain.h)
    np.testing.assert_array_equal(padded.c, plain.c)
    np.testing.assert_array_equal(padded.hs[:, 8], plain.hs[:, -1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", LSTMS, ids=str)
@pytest.mark.parametrize("cut", [1, 3, 13, 24])
def test_a_sequence_in_two_parts_has_the_bits_of_the_whole(
    cut: int, options: dict[str, Any], dtype: str
) -> None:
    case = make_case(34, (3, 29, 4, 19), dtype, **options)
    whole = case.forward("numba")
    first = case.forward("numba", x=case.x[:, :cut])
    second = case.forward("numba", x=case.x[:, cut:], h0=first.h, c0=first.c)
    np.testing.assert_array_equal(np.concatenate([first.hs, second.hs], axis=1), whole.hs)
    np.testing.assert_array_equal(second.c, whole.c)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", LSTMS, ids=str)
def test_keeping_the_cache_changes_nothing(options: dict[str, Any], dtype: str) -> None:
    case = make_case(35, (5, 4, 3, 18), dtype, "right", **options)
    np.testing.assert_array_equal(
        case.forward("numba").hs, case.forward("numba", keep_cache=False).hs
    )


Z_ANEW: list[dict[str, Any]] = [
    {},
    {"bias": False, "go_backwards": True},
    {"input_forget": True, "projection": 7, "masked_output": "zero"},
    {"dropout": "all gates", "activation": "relu", "recurrent_activation": "sigmoid"},
    {"dropout": "each gate", "activation": "exponential", "recurrent_activation": "tanh"},
]
"""LSTMs whose way back does not read z."""


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mask", ["none", "scattered"])
@pytest.mark.parametrize("options", Z_ANEW, ids=str)
@pytest.mark.parametrize("sizes", [(7, 9, 5, 37), (3, 29, 1, 16), (13, 2, 70, 65)])
def test_z_computed_anew_is_z_as_it_was(
    sizes: Any, options: dict[str, Any], mask: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = make_case(38, sizes, dtype, mask, **options)
    out = case.forward("numba")
    assert "z" not in vars(out.cache)
    gradients = case.backward(out)
    assert "z" not in vars(out.cache)
    monkeypatch.setattr(lstm, "z_is_read", lambda params, config: True)
    kept = case.forward("numba")
    np.testing.assert_array_equal(vars(kept.cache)["z"], out.cache.z)
    for name, array in present(case.backward(kept)).items():
        np.testing.assert_array_equal(getattr(gradients, name), array, err_msg=name)
    with pytest.raises(AttributeError, match="LoopsCache' object has no attribute 'y'"):
        getattr(out.cache, "y")  # noqa: B009  (mypy knows that it is not there)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", LSTMS, ids=str)
def test_gradients_of_a_row_alone(options: dict[str, Any], dtype: str) -> None:
    """d_x, d_h0 and d_c0 of a row do not depend on its company (weight gradients are sums)."""
    case = make_case(36, (9, 5, 3, 20), dtype, "scattered", **options)
    together = case.backward(case.forward("numba"))
    for row in range(9):
        one = slice(row, row + 1)
        out = case.forward("numba", **some_rows(case, one))
        alone = lr.lstm_backward(case.d_hs[one], case.d_h[one], case.d_c[one], out.cache)
        for name in ("d_x", "d_h0", "d_c0"):
            np.testing.assert_array_equal(getattr(alone, name)[0], getattr(together, name)[row])


def test_nan_and_infinity_stay_in_their_row() -> None:
    case = make_case(37, (8, 4, 3, 17), "float32")
    clean = case.forward("numba").hs
    for poison in (np.nan, np.inf, -np.inf, 3e38, 1e-45):
        x = case.x.copy()
        x[4, 1] = poison
        hs = case.forward("numba", x=x).hs
        others = np.arange(8) != 4
        np.testing.assert_array_equal(hs[others], clean[others])
        np.testing.assert_array_equal(hs[4, 0], clean[4, 0])
