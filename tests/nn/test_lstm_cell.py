"""nn.LSTMCell against torch.nn.LSTMCell, and against our own LSTM; its sentences."""

import inspect
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_ref.errors import DTypeError, ShapeError, UnsupportedError
from lstm_ref.nn import LSTM, LSTMCell
from tests.cases import BACKENDS, computing
from tests.nn.torch_peer import CLOSE, array, assert_close, compare_cell, twins
from tests.peers import require


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_states_and_gradients_equal_torch(backend: str, dtype: str) -> None:
    @settings(max_examples=200)
    @given(
        seed=st.integers(0, 2**32 - 1),
        D=st.integers(1, 40),
        H=st.integers(1, 40),
        bias=st.booleans(),
        rows=st.sampled_from([(), (1,), (2,), (7,)]),
    )
    def compare(seed: int, D: int, H: int, bias: bool, rows: tuple[int, ...]) -> None:
        rng = np.random.default_rng(seed)
        theirs, ours = twins("LSTMCell", rng, D, H, dtype=dtype, bias=bias)
        compare_cell(theirs, ours, rng.normal(size=(*rows, D)).astype(dtype), rng)

    with computing(backend):
        compare()


def test_without_a_state_it_begins_at_zero(rng: np.random.Generator) -> None:
    theirs, ours = twins("LSTMCell", rng, 3, 4)
    x = rng.normal(size=(2, 3))
    for got, expected in zip(ours(x), theirs(require("torch").tensor(x)), strict=True):
        assert_close(got, array(expected), ulps=CLOSE["float64"].outputs)


def test_step_by_step_it_is_an_lstm(rng: np.random.Generator) -> None:
    cell, lstm = LSTMCell(3, 4, dtype="float64"), LSTM(3, 4, dtype="float64")
    lstm.load_state_dict({f"{name}_l0": weight for name, weight in cell.state_dict().items()})
    x = rng.normal(size=(6, 2, 3))
    state, outputs = None, []
    for x_t in x:
        state = cell(x_t, state)
        outputs.append(state[0])
    out, (h_n, c_n) = lstm(x)
    assert_close(np.stack(outputs), out, ulps=4)
    assert_close(np.stack(state), np.stack([h_n[0], c_n[0]]), ulps=4)


def test_upstream_gradients_that_are_none_are_zeros(rng: np.random.Generator) -> None:
    cell = LSTMCell(3, 4, dtype="float64")
    _, cache = cell.forward(rng.normal(size=(2, 3)), keep_cache=True)
    d_h, d_c = rng.normal(size=(2, 2, 4))
    upstream = [(d_h, d_c), (d_h, None), (None, d_c), None]
    results = [cell.backward(d_state, cache) for d_state in upstream]
    flat = [[d_x, *d_state, *gradients.values()] for d_x, d_state, gradients in results]
    for total, *summands in zip(*flat, strict=True):
        assert_close(np.sum(summands, axis=0), total, ulps=8)
    assert all(not np.any(gradient) for gradient in flat[-1])


@pytest.mark.parametrize("bias", [True, False])
def test_arguments_attributes_and_representation_are_those_of_torch(bias: bool) -> None:
    peer = require("torch").nn.LSTMCell
    theirs, ours = peer(3, 4, bias), LSTMCell(3, 4, bias)
    assert repr(ours) == repr(theirs)
    for name in ("input_size", "hidden_size", "bias", "training"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert (ours.bias_ih is None) == (theirs.bias_ih is None) is not bias
    signatures = [inspect.signature(kind).parameters.values() for kind in (LSTMCell, peer)]
    assert [(p.name, p.default) for p in signatures[0]] == [
        (p.name, p.default) for p in signatures[1]
    ]


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"input_size": 0}, ValueError, "input_size must be greater than zero, and 0 came"),
        ({"hidden_size": 0}, ValueError, "hidden_size must be greater than zero, and 0 came"),
        ({"hidden_size": "4"}, TypeError, "hidden_size should be of type int, got: str '4'"),
        ({"bias": 0}, TypeError, "bias should be of type bool, got: int 0"),
        ({"device": "mps"}, UnsupportedError, "LSTMCell(device='mps') is not supported"),
        ({"dtype": "int8"}, UnsupportedError, "dtype='int8' is not supported"),
    ],
)
def test_arguments_that_make_no_sense_are_named(
    arguments: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=re.escape(sentence)):
        LSTMCell(**{"input_size": 3, "hidden_size": 4, **arguments})


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ((np.zeros((2, 4)),), ShapeError, "(2, 4), and a cell reads one step, (batch, 3) or (3,)"),
        ((np.zeros((5, 2, 3)),), ShapeError, "or (3,); whole sequences are for LSTM"),
        ((np.zeros(()),), ShapeError, "input has shape (), and a cell reads one step"),
        ((["a"] * 3,), DTypeError, "input has dtype <U1"),
        (
            (np.zeros((2, 3)), (np.zeros((2, 4)), np.zeros((1, 4)))),
            ShapeError,
            "c_0 has shape (1, 4), and (2, 4) is needed: (batch, hidden_size), as the input",
        ),
        (
            (np.zeros(3), (np.zeros((1, 4)), np.zeros((1, 4)))),
            ShapeError,
            "h_0 has shape (1, 4), and (4,) is needed: (hidden_size,), as the input",
        ),
        ((np.zeros((2, 3)), np.zeros((2, 4))), TypeError, "LSTMCell takes the pair (h_0, c_0)"),
    ],
)
def test_a_call_that_does_not_fit_is_explained(
    arguments: tuple[Any, ...], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=re.escape(sentence)) as caught:
        LSTMCell(3, 4)(*arguments)
    assert isinstance(caught.value, RuntimeError | TypeError)


def test_backward_says_what_it_needs() -> None:
    cell = LSTMCell(3, 4)
    with pytest.raises(TypeError, match=re.escape("run LSTMCell's forward(..., keep_cache=True)")):
        cell.backward(None, None)
    _, cache = cell.forward(np.zeros((2, 3)), keep_cache=True)
    with pytest.raises(ShapeError, match=re.escape("d_c_1 has shape (4,), and (2, 4) is needed")):
        cell.backward((None, np.zeros(4)), cache)
