"""The door: what comes in is checked once, with a sentence that helps; and who computes."""

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import lstm_ref as lr
from lstm_ref import backend
from tests.cases import make_case, present, random_params

PARAMS = random_params(3, 4, "float64", np.random.default_rng(0))
X = np.random.default_rng(1).normal(size=(2, 5, 3))


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        (X[..., 0], r"x has shape \(2, 5\): an LSTM reads \(batch, time, fea.*x\[..., None\]"),
        (X[0, :, 0], r"x has shape \(5,\).*x\[None, :, None\]"),
        (X[None], r"x has shape \(1, 2, 5, 3\).*reshape"),
        (X[..., :2], r"2 features a step, and the weights were made for 3"),
        (X.transpose(0, 2, 1), r"5 features a step.*may be swapped"),
    ],
)  # fmt: skip
def test_shapes_of_x(x: np.ndarray, sentence: str) -> None:
    with pytest.raises(lr.ShapeError, match=sentence):
        lr.lstm_forward(x, PARAMS)


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        (X.astype(complex), "complex128.*real part"),
        (X.astype(object), "object.*unequal length"),
        (np.full((2, 5, 3), "a"), "dtype <U1"),
        (np.zeros((2, 5, 3), "datetime64[s]"), "datetime64"),
        (np.ma.masked_array(np.zeros((2, 5, 3), "datetime64[s]")), "datetime64"),
    ],
)
def test_dtypes_of_x(x: np.ndarray, sentence: str) -> None:
    with pytest.raises(lr.DTypeError, match=sentence):
        lr.lstm_forward(x, PARAMS)


def test_a_ragged_list_is_sent_to_pad_sequences() -> None:
    with pytest.raises(lr.ShapeError, match="pad_sequences"):
        lr.lstm_forward([[[1.0], [2.0]], [[1.0]]], PARAMS)


@pytest.mark.parametrize("which", ["numpy", "numba"])
@pytest.mark.parametrize(
    "convert",
    [
        pytest.param(lambda x: x.tolist(), id="list"),
        pytest.param(np.asfortranarray, id="Fortran order"),
        pytest.param(lambda x: np.repeat(x, 2, 1)[:, ::2], id="strided"),
        pytest.param(lambda x: x[:, ::-1].copy()[:, ::-1], id="negative stride"),
        pytest.param(lambda x: x.astype(">f8"), id="big-endian"),
        pytest.param(lambda x: np.ma.masked_array(x), id="masked array"),
        pytest.param(lambda x: np.broadcast_to(x, x.shape), id="read-only"),
    ],
)
def test_the_same_numbers_in_another_form_give_the_same_result(convert: Any, which: Any) -> None:
    expected = lr.lstm_forward(X, PARAMS, backend=which).hs
    np.testing.assert_array_equal(lr.lstm_forward(convert(X), PARAMS, backend=which).hs, expected)


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("which", ["numpy", "numba"])
@pytest.mark.parametrize(
    "convert",
    [
        pytest.param(lambda w: w.tolist(), id="list"),
        pytest.param(lambda w: w.astype(">f8"), id="big-endian"),
        pytest.param(lambda w: np.asmatrix(w) if w.ndim == 2 else w, id="matrix"),
        pytest.param(lambda w: np.ma.masked_array(w), id="masked array"),
    ],
)
def test_the_same_weights_in_another_form_give_the_same_result(convert: Any, which: Any) -> None:
    """Forward and backward, in native float64, for an LSTM and a dense head."""
    d = np.random.default_rng(2).normal(size=(2, 5, 4))
    results = []
    for form in (lambda w: w, convert):
        params = lr.LSTMParams(*(form(w) for w in present(PARAMS).values()))
        out = lr.lstm_forward(X, params, keep_cache=True, backend=which)
        head = lr.dense_forward(
            X, form(PARAMS.kernel), form(PARAMS.bias), "tanh", keep_cache=True, backend=which
        )
        gradients = (
            lr.lstm_backward(d, None, None, out.cache),
            lr.dense_backward(head.y, head.cache),
        )
        results.append([out.hs, head.y, *(g for part in gradients for g in present(part).values())])
    for expected, got in zip(*results, strict=True):
        assert type(got) is np.ndarray
        assert got.dtype == np.float64
        assert got.dtype.isnative
        np.testing.assert_array_equal(got, expected)


def test_weights_that_need_no_conversion_are_passed_on_untouched() -> None:
    assert backend.plain(PARAMS) is PARAMS


def test_a_bias_of_another_dtype_does_not_change_that_of_the_head() -> None:
    h, W, b = np.ones((2, 3), "float32"), np.ones((3, 2), "float32"), np.array([0.1, 0.2])
    for which in ("numpy", "numba"):
        assert lr.dense_forward(h, W, b, backend=which).y.dtype == np.float32, which


@pytest.mark.parametrize("dtype", ["int64", "bool", "float16", "float32"])
def test_other_numbers_are_computed_in_the_weights_dtype(dtype: str) -> None:
    x = np.round(X).astype(dtype)
    out = lr.lstm_forward(x, PARAMS)
    assert out.hs.dtype == np.float64
    np.testing.assert_array_equal(out.hs, lr.lstm_forward(x.astype(float), PARAMS).hs)


def test_a_masked_entry_of_a_numpy_masked_array_is_seen_as_nan() -> None:
    x = np.ma.masked_array(X, mask=np.zeros(X.shape, bool))
    x[0, 2, 1] = np.ma.masked
    out = lr.lstm_forward(x, PARAMS)
    assert np.isnan(out.hs[0, 2:]).all()
    assert np.isfinite(out.hs[1]).all()


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        (np.ones(2), r"mask_from_lengths"),
        (np.ones((2, 5, 1)), r"mask\[..., 0\]"),
        (np.ones((5, 2)), "transposed"),
        (np.ones((2, 4)), r"\(2, 5\) is needed"),
        ([[True] * 5, [True]], r"rows differ in length, and \(2, 5\) is needed"),
    ],
)
def test_shapes_of_the_mask(mask: np.ndarray, sentence: str) -> None:
    with pytest.raises(lr.ShapeError, match=sentence):
        lr.lstm_forward(X, PARAMS, mask=mask)


def test_a_mask_of_words_is_refused() -> None:
    with pytest.raises(lr.DTypeError, match="mask has dtype"):
        lr.lstm_forward(X, PARAMS, mask=np.full((2, 5), "yes"))


@pytest.mark.parametrize("dtype", ["int64", "float32", "uint8"])
def test_masks_of_numbers_are_cast(dtype: str) -> None:
    mask = np.array([[1, 0, 1, 1, 0], [0, 1, 1, 0, 1]], dtype)
    expected = lr.lstm_forward(X, PARAMS, mask=mask.astype(bool)).hs
    np.testing.assert_array_equal(lr.lstm_forward(X, PARAMS, mask=mask).hs, expected)


def test_states_and_gradients_of_another_batch_are_refused() -> None:
    with pytest.raises(lr.ShapeError, match=r"h0 has shape \(3, 4\), and \(2, 4\)"):
        lr.lstm_forward(X, PARAMS, h0=np.zeros((3, 4)))
    with pytest.raises(lr.ShapeError, match=r"c0 has shape \(4,\)"):
        lr.lstm_forward(X, PARAMS, c0=np.zeros(4))
    out = lr.lstm_forward(X, PARAMS, keep_cache=True)
    with pytest.raises(lr.ShapeError, match=r"d_hs has shape \(2, 4\), and \(2, 5, 4\)"):
        lr.lstm_backward(np.zeros((2, 4)), None, None, out.cache)
    with pytest.raises(TypeError, match="keep_cache=True"):
        lr.lstm_backward(None, None, None, lr.lstm_forward(X, PARAMS).cache)


def test_gradients_of_a_head_have_the_shape_of_its_outputs() -> None:
    """As many numbers in another arrangement belong to other rows."""
    out = lr.dense_forward(X, np.ones((3, 4)), keep_cache=True)
    with pytest.raises(lr.ShapeError, match=r"d_y has shape \(5, 2, 4\), and \(2, 5, 4\)"):
        lr.dense_backward(np.ones((5, 2, 4)), out.cache)
    with pytest.raises(TypeError, match="keep_cache=True"):
        lr.dense_backward(out.y, lr.dense_forward(X, np.ones((3, 4))).cache)


def test_something_else_for_the_weights_or_the_options_is_refused() -> None:
    with pytest.raises(TypeError, match=r"params is a tuple.*LSTMParams\(kernel"):
        lr.lstm_forward(X, (PARAMS.kernel, PARAMS.recurrent_kernel, PARAMS.bias))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"config a str.*LSTMConfig\(activation"):
        lr.lstm_forward(X, PARAMS, "tanh")  # type: ignore[arg-type]


def test_weights_that_do_not_fit_each_other() -> None:
    W, U, b = PARAMS.kernel, PARAMS.recurrent_kernel, PARAMS.bias
    with pytest.raises(lr.ShapeError, match=r"weight_hh is its transpose"):
        lr.lstm_forward(X, lr.LSTMParams(W, U.T, b))
    with pytest.raises(lr.ShapeError, match=r"kernel has shape \(16, 3\)"):
        lr.lstm_forward(X, lr.LSTMParams(W.T, U, b))
    with pytest.raises(lr.ShapeError, match="add its halves"):
        lr.lstm_forward(X, lr.LSTMParams(W, U, np.concatenate([b, b])))
    with pytest.raises(lr.DTypeError, match="float32, float64"):
        lr.lstm_forward(X, lr.LSTMParams(W, U, b.astype("float32")))
    with pytest.raises(lr.DTypeError, match="float16"):
        lr.lstm_forward(X, lr.LSTMParams(*(w.astype("float16") for w in (W, U, b))))


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'relux'.*relu"):
        lr.lstm_forward(X, PARAMS, lr.LSTMConfig(activation="relux"))
    with pytest.raises(ValueError, match="masked_output is 'keep'"):
        lr.lstm_forward(X, PARAMS, lr.LSTMConfig(masked_output="keep"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="backend is 'jax'"):
        lr.lstm_forward(X, PARAMS, backend="jax")  # type: ignore[arg-type]


def test_inputs_are_never_written_to() -> None:
    for name in ("numpy", "numba"):
        case = make_case(5, (3, 4, 2, 5), mask="scattered")
        arrays = [case.x, case.mask, case.h0, case.c0, case.d_hs, case.d_h, case.d_c,
                  *present(case.params).values()]  # fmt: skip
        before = [a.copy() for a in arrays]
        for a in arrays:
            a.flags.writeable = False
        case.backward(case.forward(name))
        for a, b in zip(arrays, before, strict=True):
            np.testing.assert_array_equal(a, b)


def test_who_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    float64, longdouble = np.dtype("float64"), np.dtype("longdouble")
    monkeypatch.delenv("LSTM_REF_BACKEND", raising=False)
    assert backend.resolve("auto", float64) == "numba"
    assert backend.resolve("auto", longdouble) == "numpy"
    with pytest.raises(lr.DTypeError, match="backend='numpy'"):
        backend.resolve("numba", longdouble)
    monkeypatch.setenv("LSTM_REF_BACKEND", "numpy")
    assert backend.resolve("auto", float64) == "numpy"
    assert backend.resolve("numba", float64) == "numba"
    monkeypatch.setenv("LSTM_REF_BACKEND", "fast")
    with pytest.raises(ValueError, match="LSTM_REF_BACKEND is 'fast'"):
        backend.resolve("auto", float64)
    monkeypatch.delenv("LSTM_REF_BACKEND")
    monkeypatch.setattr(backend, "numba_is_installed", lambda: False)
    assert backend.resolve("auto", float64) == "numpy"
    with pytest.raises(lr.MissingExtraError, match="pip install numba"):
        backend.resolve("numba", float64)


def test_the_specification_needs_no_numba() -> None:
    program = (
        "import sys; sys.modules['numba'] = sys.modules['llvmlite'] = None\n"
        "import numpy as np, lstm_ref as lr\n"
        "p = lr.LSTMParams(np.ones((1, 8)), np.ones((2, 8)), np.ones(8))\n"
        "print(lr.lstm_forward(np.ones((1, 3, 1)), p, backend='numpy').hs.shape)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "(1, 3, 2)"


# What some LSTMs have besides.


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"peephole": np.zeros(16)}, r"peephole has shape \(16,\), and \(12,\) is needed: p\[3H\]"),
        ({"peephole": np.zeros((3, 4))}, r"peephole has shape \(3, 4\)"),
        (
            {"recurrent_kernel": np.zeros((2, 16))},
            r"U\[P,4H\] is that of an LSTM with projection=R\[4,2\]",
        ),
        (
            {"recurrent_kernel": np.zeros((2, 16)), "projection": np.zeros((2, 4))},
            r"projection has shape \(2, 4\), and \(4, 2\) is needed.*use weight_hr.T",
        ),
        ({"projection": np.zeros((4, 3))}, r"projection has shape \(4, 3\), and \(4, 4\)"),
    ],
)
def test_weights_that_do_not_belong_together(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(lr.ShapeError, match=sentence):
        lr.lstm_forward(X, lr.LSTMParams(**{**vars(PARAMS), **changes}))


def test_weights_of_another_dtype_are_named() -> None:
    params = replace(PARAMS, peephole=np.zeros(12, "float32"))
    with pytest.raises(lr.DTypeError, match="different dtypes, float32, float64"):
        lr.lstm_forward(X, params)


@pytest.mark.parametrize("clip", [0, -1.0, np.nan])
def test_a_clip_is_positive(clip: float) -> None:
    with pytest.raises(ValueError, match=r"clip is .*: a positive number, or None"):
        lr.lstm_forward(X, PARAMS, lr.LSTMConfig(clip=clip))


def test_activations_with_the_wrong_parameters_are_refused() -> None:
    for role in ("activation", "recurrent_activation", "output_activation"):
        with pytest.raises(ValueError, match="elu takes 1 parameters"):
            lr.lstm_forward(X, PARAMS, lr.LSTMConfig(**{role: ("elu", 1, 2)}))
        lists = lr.LSTMConfig(**{role: ["elu", 0.5]})  # as JSON gives it
        tuples = lr.LSTMConfig(**{role: ("elu", 0.5)})
        np.testing.assert_array_equal(
            lr.lstm_forward(X, PARAMS, lists).hs, lr.lstm_forward(X, PARAMS, tuples).hs
        )


@pytest.mark.parametrize("which", ["numpy", "numba"])
@pytest.mark.parametrize("go_backwards", [False, True])
def test_lengths_are_masks(which: Any, go_backwards: bool) -> None:
    """Backwards they begin at each row's own last step: the row as if it were alone."""
    config = lr.LSTMConfig(go_backwards=go_backwards, masked_output="zero")
    lengths = [5, 3]
    out = lr.lstm_forward(X, PARAMS, config, lengths=lengths, backend=which)
    mask = lr.mask_from_lengths(lengths, 5)
    np.testing.assert_array_equal(
        out.hs, lr.lstm_forward(X, PARAMS, config, mask, backend=which).hs
    )
    alone = lr.lstm_forward(X[1:, :3], PARAMS, config, backend=which)
    steps = slice(2, 5) if go_backwards else slice(0, 3)
    np.testing.assert_allclose(out.hs[1, steps], alone.hs[0], atol=1e-15)
    np.testing.assert_allclose(out.h[1], alone.h[0], atol=1e-15)


def test_lengths_that_are_none() -> None:
    with pytest.raises(ValueError, match="a mask or lengths, and both came"):
        lr.lstm_forward(X, PARAMS, mask=np.ones((2, 5), bool), lengths=[5, 5])
    with pytest.raises(lr.ShapeError, match=r"lengths\[1\] is 6, and a row has 0 to 5 steps"):
        lr.lstm_forward(X, PARAMS, lengths=[5, 6])
    with pytest.raises(lr.ShapeError, match=r"lengths has shape \(3,\), and \(2,\) is needed"):
        lr.lstm_forward(X, PARAMS, lengths=[5, 5, 5])


def test_dropout_factors_have_the_shape_of_what_they_drop() -> None:
    D, H = X.shape[2], PARAMS.units
    for dropout, name in (
        (lr.Dropout(x=np.ones((2, D + 1))), "dropout.x"),
        (lr.Dropout(x=np.ones((2, 5, D))), "dropout.x"),
        (lr.Dropout(h=np.ones((3, 2, H))), "dropout.h"),
        (lr.Dropout(h=np.ones((H,))), "dropout.h"),
    ):
        with pytest.raises(lr.ShapeError, match=rf"{name} has shape .*\(4, ...\) with those of i"):
            lr.lstm_forward(X, PARAMS, dropout=dropout)
    ones = lr.Dropout(np.ones((4, 2, D)), np.ones((2, H)))
    np.testing.assert_array_equal(
        lr.lstm_forward(X, PARAMS, dropout=ones).hs, lr.lstm_forward(X, PARAMS).hs
    )


@pytest.mark.parametrize("kind", [float, np.float64, np.float32])
def test_a_clip_of_any_kind_of_number_is_the_same(kind: Any) -> None:
    """NumPy's float64 would widen float32 sums, and let gradients through what was clipped."""
    case = make_case(61, (3, 5, 2, 4), "float32", clip=0.7)
    wanted = [case.forward("numpy"), case.forward("numba")]
    case.config = replace(case.config, clip=kind(0.7))
    for name, expected in zip(("numpy", "numba"), wanted, strict=True):
        out = case.forward(name)
        np.testing.assert_array_equal(out.hs, expected.hs)
        np.testing.assert_array_equal(case.backward(out).d_x, case.backward(expected).d_x)
    spec, kernel = (case.backward(case.forward(name)).d_x for name in ("numpy", "numba"))
    np.testing.assert_allclose(spec, kernel, atol=1e-6)


@pytest.mark.parametrize("clip", ["a", True, np.array([1.0, 2.0])])
def test_a_clip_is_one_number(clip: Any) -> None:
    with pytest.raises(ValueError, match="a positive number, or None"):
        lr.lstm_forward(X, PARAMS, lr.LSTMConfig(clip=clip))


def test_a_switch_is_true_or_false() -> None:
    for option in ("go_backwards", "input_forget"):
        with pytest.raises(ValueError, match=f"{option} is 'no': True or False"):
            lr.lstm_forward(X, PARAMS, lr.LSTMConfig(**{option: "no"}))


def test_a_rate_is_no_dropout_factor() -> None:
    with pytest.raises(TypeError, match=r"dropout is 0.5: give Dropout.*a rate is an argument of"):
        lr.lstm_forward(X, PARAMS, dropout=0.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("which", ["numpy", "numba"])
def test_the_states_may_be_written_to_before_the_backward_pass(which: Any) -> None:
    case = make_case(62, (2, 3, 2, 4))
    out = case.forward(which)
    expected = case.backward(out).d_recurrent_kernel
    case.h0[:] = 0
    case.c0[:] = 0
    np.testing.assert_array_equal(case.backward(out).d_recurrent_kernel, expected)


def test_shapes_of_a_projected_lstm_are_told_by_its_projection() -> None:
    params = random_params(3, 8, "float64", np.random.default_rng(0), projection=4)
    transposed = replace(params, recurrent_kernel=params.recurrent_kernel.T)
    with pytest.raises(lr.ShapeError, match=r"\(32, 4\), and U\[P,4H\], for the 8 .*weight_hh.T"):
        lr.lstm_forward(X, transposed)
    with pytest.raises(
        lr.ShapeError, match=r"h0 has shape \(2, 8\), and \(2, 4\).*projected hidden"
    ):
        lr.lstm_forward(X, params, h0=np.zeros((2, 8)))
    out = lr.lstm_forward(X, params, keep_cache=True)
    with pytest.raises(lr.ShapeError, match=r"d_hs .*\(batch, time, P\)"):
        lr.lstm_backward(np.zeros((2, 5, 8)), None, None, out.cache)
