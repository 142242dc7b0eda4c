"""PyTorch beside lstm_ref.nn: the same module and weights in both, compared forward and back."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

import lstm_ref as lr
from tests.keras_peer import assert_close
from tests.peers import require


@dataclass(frozen=True)
class Close:
    """How close is close, in ulps of the largest number of an array (and of 1 at least)."""

    outputs: float
    gradients: float


CLOSE = {"float64": Close(outputs=8, gradients=16), "float32": Close(outputs=4, gradients=16)}
"""PyTorch adds up in another order: up to 80 products a sum, three layers, some time steps."""


def tensor(array: Any, dtype: str = "float64") -> Any:
    """A leaf of PyTorch's graph, as a copy."""
    torch = require("torch")
    return torch.tensor(np.asarray(array), dtype=getattr(torch, dtype), requires_grad=True)


def array(value: Any) -> np.ndarray:
    return value.detach().numpy()


def random_state(module: Any, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Weights that keep an LSTM contractive, no two alike, each gate with a scale and a mean."""
    state = {}
    for name, weight in module.named_parameters():
        scale, mean = np.ones(weight.shape[0]), np.zeros(weight.shape[0])
        if weight.shape[0] % 4 == 0:  # the blocks of i, f, g and o, or what may look like them
            scale = np.repeat([0.6, 0.8, 1.0, 1.2], weight.shape[0] // 4)
            mean = np.repeat([0.3, -0.2, 0.1, -0.4], weight.shape[0] // 4)
        if weight.ndim == 2:
            scale, mean = scale[:, None] * 0.7 / np.sqrt(weight.shape[1]), 0
        state[name] = (rng.normal(size=weight.shape) * scale + mean).astype(module.dtype)
    return state


def twins(
    kind: str, rng: np.random.Generator, *sizes: int, dtype: str = "float64", **options: Any
) -> tuple[Any, Any]:
    """(PyTorch's module, ours), with the same weights."""
    torch = require("torch")
    theirs = getattr(torch.nn, kind)(*sizes, **options, dtype=getattr(torch, dtype))
    ours = getattr(lr.nn, kind)(*sizes, **options, dtype=dtype)
    state = random_state(ours, rng)
    ours.load_state_dict(state)
    theirs.load_state_dict({name: torch.tensor(weight) for name, weight in state.items()})
    return theirs, ours


@dataclass
class LSTMCase:
    """What goes into an LSTM, forward and backward, in PyTorch's axes."""

    x: np.ndarray
    h_0: np.ndarray
    c_0: np.ndarray
    d_out: np.ndarray
    d_h_n: np.ndarray
    d_c_n: np.ndarray
    lengths: np.ndarray | None
    padding: np.ndarray
    """bool, in the axes of x without the last: beyond the lengths."""


def lstm_case(
    module: Any, rng: np.random.Generator, B: int | None, T: int, lengths: bool = False
) -> LSTMCase:
    """Random input, states and upstream gradients for one of ours; B None is one sequence."""
    N, P = 1 + module.bidirectional, module.proj_size or module.hidden_size
    rows = () if B is None else (B,)
    if B is None:
        axes: tuple[int, ...] = (T,)
    else:
        axes = (B, T) if module.batch_first else (T, B)
    counts = rng.integers(1, T + 1, B) if lengths else None
    padding = np.zeros(axes, bool)
    if counts is not None:
        beyond = np.arange(T) >= counts[:, None]
        padding = beyond if module.batch_first else beyond.T

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(module.dtype)

    runs = module.num_layers * N
    h_shape, c_shape = (runs, *rows, P), (runs, *rows, module.hidden_size)
    x, d_out = normal(*axes, module.input_size), normal(*axes, N * P)
    x[padding] = np.nan  # one that is read shows
    return LSTMCase(
        *(x, normal(*h_shape), normal(*c_shape), d_out, normal(*h_shape), normal(*c_shape)),
        lengths=counts,
        padding=padding,
    )


def compare_lstm(theirs: Any, ours: Any, case: LSTMCase, states: bool = True) -> None:
    """Outputs, states and every gradient of an LSTM. Without `states` they begin at zero."""
    torch = require("torch")
    rnn = torch.nn.utils.rnn
    close, dtype, batch_first = CLOSE[ours.dtype], ours.dtype, ours.batch_first
    T = case.x.shape[1 if batch_first and case.x.ndim == 3 else 0]
    zero = 1 if states else 0

    x = tensor(case.x, dtype)
    h_0, c_0 = tensor(zero * case.h_0, dtype), tensor(zero * case.c_0, dtype)
    with warnings.catch_warnings():
        # How PyTorch computes, once in a process: another library does float32 without projection.
        warnings.filterwarnings("ignore", "LSTM with projections is not supported with oneDNN")
        if case.lengths is None:
            out, (h_n, c_n) = theirs(x, (h_0, c_0))
        else:
            packed = rnn.pack_padded_sequence(
                x, torch.tensor(case.lengths), batch_first=batch_first, enforce_sorted=False
            )
            packed, (h_n, c_n) = theirs(packed, (h_0, c_0))
            out, _ = rnn.pad_packed_sequence(packed, batch_first=batch_first, total_length=T)
    upstream = ((out, case.d_out), (h_n, case.d_h_n), (c_n, case.d_c_n))
    sum((value * tensor(d, dtype)).sum() for value, d in upstream).backward()

    hx = (case.h_0, case.c_0) if states else None
    (y, (h, c)), cache = ours.forward(case.x, hx, case.lengths, keep_cache=True)
    for name, got, expected in (("out", y, out), ("h_n", h, h_n), ("c_n", c, c_n)):
        assert_close(got, array(expected), ulps=close.outputs, what=name)
    assert not y[case.padding].any()

    d_out = case.d_out.copy()
    d_out[case.padding] = np.nan
    d_x, (d_h_0, d_c_0), gradients = ours.backward(d_out, (case.d_h_n, case.d_c_n), cache)
    compared = {"d_x": (d_x, x.grad), "d_h_0": (d_h_0, h_0.grad), "d_c_0": (d_c_0, c_0.grad)}
    compare_gradients(compared, gradients, theirs, close.gradients)


def compare_cell(
    theirs: Any, ours: Any, x: np.ndarray, rng: np.random.Generator, state: Any = None
) -> None:
    """The new state of a cell for x [B,D] or [D], from a random one by default; every gradient."""
    close, shape = CLOSE[ours.dtype], (*x.shape[:-1], ours.hidden_size)
    h_0, c_0, d_h, d_c = rng.normal(size=(4, *shape)).astype(ours.dtype)
    h_0, c_0 = (h_0, c_0) if state is None else state
    leaves = [tensor(value, ours.dtype) for value in (x, h_0, c_0)]
    expected = theirs(leaves[0], tuple(leaves[1:]))
    upstream = zip(expected, (d_h, d_c), strict=True)
    sum((value * tensor(d, ours.dtype)).sum() for value, d in upstream).backward()

    got, cache = ours.forward(x, (h_0, c_0), keep_cache=True)
    for name, value, peer in zip("hc", got, expected, strict=True):
        assert_close(value, array(peer), ulps=close.outputs, what=name)
    d_x, d_state, gradients = ours.backward((d_h, d_c), cache)
    pairs = zip((d_x, *d_state), [leaf.grad for leaf in leaves], strict=True)
    compared = dict(zip(("d_x", "d_h_0", "d_c_0"), pairs, strict=True))
    compare_gradients(compared, gradients, theirs, close.gradients)


def compare_linear(theirs: Any, ours: Any, x: np.ndarray, rng: np.random.Generator) -> None:
    """The outputs and every gradient of a dense head."""
    close, leaf = CLOSE[ours.dtype], tensor(x, ours.dtype)
    expected = theirs(leaf)
    d_y = rng.normal(size=tuple(expected.shape)).astype(ours.dtype)
    (expected * tensor(d_y, ours.dtype)).sum().backward()

    y, cache = ours.forward(x, keep_cache=True)
    assert_close(y, array(expected), ulps=close.outputs, what="y")
    d_x, gradients = ours.backward(d_y, cache)
    compare_gradients({"d_x": (d_x, leaf.grad)}, gradients, theirs, close.gradients)


def compare_gradients(
    compared: dict[str, tuple[np.ndarray, Any]],
    gradients: dict[str, np.ndarray],
    theirs: Any,
    ulps: float,
) -> None:
    """Those named, and those on all weights."""
    named = dict(theirs.named_parameters())
    assert list(gradients) == list(named)
    compared |= {name: (gradients[name], weight.grad) for name, weight in named.items()}
    for name, (got, expected) in compared.items():
        assert_close(got, array(expected), ulps=ulps, what=name)
