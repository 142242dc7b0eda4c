"""ONNX's operator LSTM, forward and backward, over the core of ``lstm_ref.backend``.

The rules stand in the docstring of ``lstm_ref.onnx_op``. What is done here is to lay out the
weights, to put the axes where the core has them, and to run each direction.
"""

# ruff: noqa: N815  (the names are ONNX's)

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lstm_ref import backend
from lstm_ref.conventions import Array
from lstm_ref.layouts import gradients_to_onnx
from lstm_ref.onnx_op.attributes import Attributes, text
from lstm_ref.onnx_op.axes import batch_back, joined
from lstm_ref.onnx_op.inputs import read_batch, read_input, read_sequence_lens, read_weights
from lstm_ref.spec.parameters import LSTMCache, LSTMConfig


@dataclass(frozen=True)
class Cache:
    """What ``lstm_backward`` needs.

    Attributes:
        directions: the core's cache of each direction.
        starts: bool [batch], the rows that have a real step. Nothing comes of the initial state
            of the others.
        layout: of the arrays the caller sees.
    """

    directions: tuple[LSTMCache, ...]
    starts: Array
    layout: int


@dataclass(frozen=True)
class Outputs:
    """Y[T,dirs,batch,H], Y_h and Y_c[dirs,batch,H], and the cache if it was asked for.

    In layout 1 they are [batch,T,dirs,H] and [batch,dirs,H].
    """

    Y: Array
    Y_h: Array
    Y_c: Array
    cache: Cache | None = None


@dataclass(frozen=True)
class Gradients:
    """Gradients of the loss, each of the shape of the input it belongs to.

    d_B and d_P are None where there is no B or P. Those on the initial states are there always.
    """

    d_X: Array
    d_W: Array
    d_R: Array
    d_B: Array | None
    d_initial_h: Array
    d_initial_c: Array
    d_P: Array | None


def lstm(
    X: Any,
    W: Any,
    R: Any,
    B: Any = None,
    sequence_lens: Any = None,
    initial_h: Any = None,
    initial_c: Any = None,
    P: Any = None,
    activations: Sequence[str | bytes] | None = None,
    activation_alpha: Sequence[float] | None = None,
    activation_beta: Sequence[float] | None = None,
    clip: float | None = None,
    direction: str | bytes = "forward",
    hidden_size: int | None = None,
    input_forget: int = 0,
    layout: int = 0,
) -> tuple[Array, Array, Array]:
    """Y, Y_h and Y_c of the operator. ``help(lstm_ref.onnx_op)`` has its rules.

    Args:
        X: [T,batch,D], anything NumPy reads as real numbers; computed in the dtype of the weights.
        W, R: [dirs,4H,D] and [dirs,4H,H], float32 or float64.
        B: [dirs,8H]; None for no biases.
        sequence_lens: [batch], whole numbers from 0 to T; None for T.
        initial_h, initial_c: [dirs,batch,H]; None for zeros.
        P: [dirs,3H]; None for no peepholes.
        activations, activation_alpha, activation_beta, clip: attributes of the node.
        direction, hidden_size, input_forget, layout: likewise.

    Returns:
        Y[T,dirs,batch,H], Y_h[dirs,batch,H] and Y_c[dirs,batch,H]; in layout 1 [batch,T,dirs,H]
        and [batch,dirs,H]. T = 0 and batch = 0 give empty results, and zeros for Y_h and Y_c.

    Raises:
        ValueError: an attribute has a value that the operator does not know.
        ShapeError: an input has the wrong shape, a length is not from 0 to T, or ``hidden_size``
            is not that of R.
        DTypeError: the weights differ in dtype, or an input is no array of real numbers.
        UnsupportedError: an input in float16 or bfloat16.
    """
    attributes = Attributes(
        activations,
        activation_alpha,
        activation_beta,
        clip,
        direction,
        hidden_size,
        input_forget,
        layout,
    )
    outputs = lstm_forward(X, W, R, B, sequence_lens, initial_h, initial_c, P, attributes)
    return outputs.Y, outputs.Y_h, outputs.Y_c


def lstm_forward(
    X: Any,
    W: Any,
    R: Any,
    B: Any = None,
    sequence_lens: Any = None,
    initial_h: Any = None,
    initial_c: Any = None,
    P: Any = None,
    attributes: Attributes | None = None,
    keep_cache: bool = False,
) -> Outputs:
    """The same as ``lstm``, with all attributes in one record and, if wanted, a cache.

    Args:
        X, W, R, B, sequence_lens, initial_h, initial_c, P: as ``lstm`` takes them.
        attributes: None for a node that has none.
        keep_cache: also return what ``lstm_backward`` needs. It holds X: leave X unchanged until
            then.

    Raises:
        ValueError, ShapeError, DTypeError, UnsupportedError: as ``lstm``.
        TypeError: attributes is something else.
    """
    attributes = Attributes() if attributes is None else attributes
    if not isinstance(attributes, Attributes):
        raise TypeError(
            f"attributes is a {type(attributes).__name__}: give onnx_op.Attributes(clip=..., ...)"
        )
    configs, layout = attributes.configs(), attributes.layout
    dirs = len(configs)
    weights = read_weights(W, R, B, P, text(attributes.direction), dirs, attributes.hidden_size)
    H, D, dtype = weights.R.shape[2], weights.W.shape[2], weights.W.dtype
    x = read_input(X, D, dtype, layout)  # [batch,T,D]
    batch, T, _ = x.shape
    lengths = None if sequence_lens is None else read_sequence_lens(sequence_lens, batch, T)
    starts = np.full(batch, T > 0) if lengths is None else lengths > 0
    states = [
        None if s is None else read_batch(s, name, (batch, dirs, H), dtype, layout)
        for s, name in ((initial_h, "initial_h"), (initial_c, "initial_c"))
    ]

    outputs = []
    for n, config in enumerate(configs):
        h0, c0 = (None if s is None else np.where(starts[:, None], s[:, n], 0) for s in states)
        outputs.append(
            backend.lstm_forward(
                x, weights.direction(n), config, None, h0, c0, keep_cache, lengths=lengths
            )
        )
    hs = [in_order_of_x(out.hs, config) for out, config in zip(outputs, configs, strict=True)]
    caches = tuple(out.cache for out in outputs if out.cache is not None)
    return Outputs(
        joined(hs, layout),
        joined([out.h for out in outputs], layout),
        joined([out.c for out in outputs], layout),
        Cache(caches, starts, layout) if keep_cache else None,
    )


def lstm_backward(d_Y: Any, d_Y_h: Any, d_Y_c: Any, cache: Cache) -> Gradients:
    """The gradients on all inputs of ``lstm_forward``.

    Args:
        d_Y, d_Y_h, d_Y_c: gradients on the outputs, each of its output's shape; None for zeros.
        cache: from ``lstm_forward(..., keep_cache=True)``.

    Raises:
        ShapeError, DTypeError, UnsupportedError: a gradient does not fit its output.
        TypeError: the cache is something else.
    """
    if not isinstance(cache, Cache):
        raise TypeError(
            f"cache is {cache!r}: run onnx_op.lstm_forward(..., keep_cache=True) and pass its "
            "out.cache"
        )
    layout, first, dirs = cache.layout, cache.directions[0], len(cache.directions)
    (batch, T, _), H, dtype = first.x.shape, first.params.units, first.x.dtype
    state = (batch, dirs, H)
    d_y, *d_states = (
        None if d is None else read_batch(d, name, shape, dtype, layout)
        for d, name, shape in (
            (d_Y, "d_Y", (batch, T, dirs, H)),
            (d_Y_h, "d_Y_h", state),
            (d_Y_c, "d_Y_c", state),
        )
    )
    gradients = []
    for n, core_cache in enumerate(cache.directions):
        d_hs = None if d_y is None else in_order_of_x(d_y[:, :, n], core_cache.config)
        d_h, d_c = (None if d is None else d[:, n] for d in d_states)
        gradients.append(backend.lstm_backward(d_hs, d_h, d_c, core_cache))

    d_x = sum((g.d_x for g in gradients[1:]), start=gradients[0].d_x)
    d_W, d_R, d_B, d_P = zip(*map(gradients_to_onnx, gradients), strict=True)
    d_initial_h, d_initial_c = (
        joined([np.where(cache.starts[:, None], d, 0) for d in parts], layout)
        for parts in zip(*((g.d_h0, g.d_c0) for g in gradients), strict=True)
    )
    return Gradients(
        batch_back(d_x, layout),
        np.stack(d_W),
        np.stack(d_R),
        None if d_B[0] is None else np.stack(d_B),
        d_initial_h,
        d_initial_c,
        None if d_P[0] is None else np.stack(d_P),
    )


def in_order_of_x(steps: Array, config: LSTMConfig) -> Array:
    """[batch,T,H] from the order of processing to that of X, or back."""
    return steps[:, ::-1] if config.go_backwards else steps
