"""Chooses who computes: the NumPy specification or its Numba kernels.

These functions are the functional core of the library, and the only door to ``lstm_ref.kernels``,
opened when first needed. All shapes and dtypes are checked here, once.

``backend`` is ``"auto"`` (the kernels where Numba is installed, else NumPy), ``"numba"`` or
``"numpy"``. The environment variable ``LSTM_REF_BACKEND`` says what ``"auto"`` means.
"""

import math
import os
from dataclasses import replace
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from operator import is_
from typing import Any, Literal, get_args

import numpy as np

from lstm_ref.checks import (
    dropout_factors,
    lengths_mask,
    lstm_weights,
    real_array,
    sequence_batch,
    shaped,
    step_mask,
    weight_array,
)
from lstm_ref.conventions import DTYPES, Array
from lstm_ref.errors import DTypeError, MissingExtraError, ShapeError
from lstm_ref.spec import activations
from lstm_ref.spec.parameters import (
    DenseCache,
    DenseGradients,
    DenseOutput,
    Dropout,
    LSTMCache,
    LSTMConfig,
    LSTMGradients,
    LSTMOutput,
    LSTMParams,
    MaskedOutput,
)

Backend = Literal["auto", "numba", "numpy"]

MASKED_OUTPUTS = get_args(MaskedOutput)


def resolve(backend: str, dtype: np.dtype[Any]) -> str:
    """``"numba"`` or ``"numpy"``: who computes in ``dtype``.

    Raises:
        ValueError: an unknown backend.
        MissingExtraError: Numba asked for by name, and not installed.
        DTypeError: a dtype the chosen backend does not compute in.
    """
    source = "backend"
    if backend == "auto":
        source, backend = "LSTM_REF_BACKEND", os.environ.get("LSTM_REF_BACKEND", "auto")
    if backend not in ("auto", "numba", "numpy"):
        raise ValueError(f"{source} is {backend!r}: 'auto', 'numba' or 'numpy' is needed")
    if backend == "auto":
        return "numba" if dtype in DTYPES and numba_is_installed() else "numpy"
    if backend == "numba":
        if not numba_is_installed():
            raise MissingExtraError("numba")
        if dtype not in DTYPES:
            raise DTypeError(
                f"the kernels compute in float32 and float64, and the weights are {dtype}: "
                "use backend='numpy'"
            )
    return backend


@cache
def numba_is_installed() -> bool:
    """Whether Numba can be imported; found out without importing it."""
    return find_spec("numba") is not None


TWINS = {
    "activations": ("activate", "activation_derivative"),
    "lstm": ("lstm_forward", "lstm_backward"),
    "dense": ("dense_forward", "dense_backward"),
    "softmax": ("softmax", "softmax_backward", "log_softmax", "log_softmax_backward"),
}
"""The pairs: each function stands in ``spec`` and in ``kernels``, in modules of the same name."""


def twins(backend: str, module: str) -> Any:
    """The module of that name in the specification, or its twin among the kernels."""
    if backend == "numba":
        return import_module(f"lstm_ref.kernels.{module}")
    return import_module(f"lstm_ref.spec.{module}")


def behind_the_door(module: str, dtype: np.dtype[Any]) -> Any:
    """A module of the core as ``"auto"`` chooses it, for who has checked everything already.

    Its functions take what the doors below make of their arguments: arrays of one dtype that fit
    each other, and canonical activations.
    """
    return twins(resolve("auto", dtype), module)


@np.errstate(over="ignore", invalid="ignore")  # infinity and NaN flow through in silence
def lstm_forward(
    x: Any,
    params: LSTMParams,
    config: LSTMConfig | None = None,
    mask: Any = None,
    h0: Any = None,
    c0: Any = None,
    keep_cache: bool = False,
    backend: Backend = "auto",
    *,
    lengths: Any = None,
    dropout: Dropout | None = None,
) -> LSTMOutput:
    """The hidden state of an LSTM at every time step [EQ 1-6, 15, 16, 23-27].

    Args:
        x: [B,T,D], anything NumPy reads as real numbers; computed in the dtype of the weights.
        params: the weights, W[D,4H], U[P,4H], b[4H], gate blocks in the order i, f, g, o, and
            p[3H] and R[H,P] where there are peepholes and a projection (P is H where there is
            none); lists, matrices and big-endian arrays are converted.
        config: activations, direction, masked-output rule, clip, coupled gates; None for Keras'
            defaults.
        mask: [B,T], True where the step is real; None when every step is. Masked inputs may hold
            anything, NaN included.
        h0, c0: [B,P] and [B,H], the initial state; None for zeros.
        keep_cache: also return what ``lstm_backward`` and a trace need, 6 to 10·B·T·H numbers and
            x. The cache holds x, the weights and dropout factors themselves: leave them unchanged
            until then. The states are copied.
        backend: who computes.
        lengths: [B], how many steps of each row are real, instead of a mask. ``go_backwards``
            then begins at each row's last real step.
        dropout: factors on what goes into the gates; None for none.

    Returns:
        hs[B,T,P], the output at every step; h[B,P] and c[B,H], the final state; the cache.
        B = 0 and T = 0 give empty results.

    Raises:
        ShapeError: x, mask, a state or the weights have the wrong shape.
        DTypeError: an array holds something other than real numbers.
        TypeError: params, config or dropout is something else.
        ValueError: an unknown activation, masked-output rule or backend, a clip that is not
            positive, or a mask and lengths both.
    """
    config = LSTMConfig() if config is None else config
    if not isinstance(params, LSTMParams) or not isinstance(config, LSTMConfig):
        raise TypeError(
            f"params is a {type(params).__name__} and config a {type(config).__name__}: give "
            "LSTMParams(kernel, recurrent_kernel, bias) and LSTMConfig(activation=..., ...)"
        )
    params = plain(params)
    lstm_weights(params)
    D, P = params.features, params.outputs
    dtype = params.kernel.dtype
    config = plain_config(config)
    x = sequence_batch(x, dtype, D)
    B, T = x.shape[:2]
    if lengths is not None:
        if mask is not None:
            raise ValueError("lstm_forward takes a mask or lengths, and both came")
        mask = lengths_mask(lengths, B, T)
    mask = None if mask is None else step_mask(mask, B, T)
    h0, c0 = initial_states(h0, c0, B, params, copy=keep_cache)
    if dropout is not None:
        if not isinstance(dropout, Dropout):
            raise TypeError(
                f"dropout is {dropout!r}: give Dropout(x=..., h=...), arrays of factors; a rate is "
                "an argument of layers.LSTM"
            )
        wanted = (dropout.x, "dropout.x", B, D), (dropout.h, "dropout.h", B, P)
        dropout = Dropout(*(None if v[0] is None else dropout_factors(*v, dtype) for v in wanted))
    core = twins(resolve(backend, dtype), "lstm")
    output: LSTMOutput = core.lstm_forward(x, params, config, mask, h0, c0, keep_cache, dropout)
    return output


@np.errstate(over="ignore", invalid="ignore")  # infinity and NaN flow through in silence
def lstm_backward(
    d_hs: Any, d_h: Any, d_c: Any, cache: LSTMCache, for_x: bool = True
) -> LSTMGradients:
    """Backpropagation through time [EQ 7-14, 17, 18, 28-32], by the backend that made the cache.

    Args:
        d_hs: [B,T,P], gradients on the outputs, in the order of ``hs``; None for zeros.
        d_h, d_c: [B,P] and [B,H], gradients on the final state; None for zeros.
        cache: from ``lstm_forward(..., keep_cache=True)``.
        for_x: also the gradient on x. Without, d_x is [B,0,D], and a part of the work is spared:
            the first layer of a model that learns needs none.

    Raises:
        ShapeError, DTypeError: a gradient does not fit what it belongs to.
    """
    if not isinstance(cache, LSTMCache):
        raise TypeError(
            f"cache is {cache!r}: run lstm_forward(..., keep_cache=True) and pass its out.cache"
        )
    B, T = cache.x.shape[:2]
    H, P, dtype = cache.params.units, cache.params.outputs, cache.params.kernel.dtype
    of_h = width_of_h(cache.params)
    wanted = (
        (d_hs, "d_hs", (B, T, P), of_h.replace("batch", "batch, time")),
        (d_h, "d_h", (B, P), of_h),
        (d_c, "d_c", (B, H), "(batch, units)"),
    )
    d_hs, d_h, d_c = (
        None if d is None else shaped(real_array(d, name, dtype), shape, name, meaning)
        for d, name, shape, meaning in wanted
    )
    core = twins(cache.backend, "lstm")
    gradients: LSTMGradients = core.lstm_backward(d_hs, d_h, d_c, cache, for_x)
    return gradients


@np.errstate(over="ignore", invalid="ignore")  # infinity and NaN flow through in silence
def dense_forward(
    h: Any,
    kernel: Any,
    bias: Any = None,
    activation: activations.ActivationId | None = "linear",
    keep_cache: bool = False,
    backend: Backend = "auto",
) -> DenseOutput:
    """The dense head, ``activation(h W + b)`` at every time step [EQ 19].

    Args:
        h: [..., H]; every axis but the last is a row of its own, so (batch, time) passes through.
        kernel: W[H,K]. bias: b[K] or None.

    Returns:
        y[..., K] and the cache when asked for.

    Raises:
        ShapeError, DTypeError, ValueError: as ``lstm_forward``.
    """
    kernel = weight_array(kernel, "kernel")
    if kernel.ndim != 2:
        raise ShapeError(f"kernel has shape {kernel.shape}, and W[H,K] is needed")
    (H, K), dtype = kernel.shape, kernel.dtype
    h = real_array(h, "h", dtype)
    if h.ndim < 1 or h.shape[-1] != H:
        raise ShapeError(
            f"h has shape {h.shape}, and the weights were made for {H} features on the last axis"
        )
    if bias is not None:
        bias = shaped(real_array(bias, "bias", dtype), (K,), "bias", "one for each output")
    core = twins(resolve(backend, dtype), "dense")
    name = activations.activation_id(activation)
    output: DenseOutput = core.dense_forward(h.reshape(rows(h), H), kernel, bias, name, keep_cache)
    y = output.y.reshape(*h.shape[:-1], K)
    # The cache keeps y in the shape the caller sees, for ``dense_backward`` to compare with.
    return DenseOutput(y, None if output.cache is None else replace(output.cache, y=y))


@np.errstate(over="ignore", invalid="ignore")  # infinity and NaN flow through in silence
def dense_backward(d_y: Any, cache: DenseCache) -> DenseGradients:
    """The gradients on h, W and b of the dense head [EQ 20-22].

    Args:
        d_y: [..., K], gradients on the outputs, of the shape ``dense_forward`` returned.
        cache: from ``dense_forward(..., keep_cache=True)``.

    Raises:
        ShapeError, DTypeError: d_y does not fit the cache.
    """
    if not isinstance(cache, DenseCache):
        raise TypeError(
            f"cache is {cache!r}: run dense_forward(..., keep_cache=True) and pass its out.cache"
        )
    H, K = cache.kernel.shape
    d_y = real_array(d_y, "d_y", cache.kernel.dtype)
    shaped(d_y, cache.y.shape, "d_y", "one for each output of the forward pass")
    N = rows(d_y)
    core = twins(cache.backend, "dense")
    gradients: DenseGradients = core.dense_backward(
        d_y.reshape(N, K), replace(cache, y=cache.y.reshape(N, K))
    )
    return replace(gradients, d_h=gradients.d_h.reshape(*d_y.shape[:-1], H))


@np.errstate(over="ignore", invalid="ignore")  # infinity and NaN flow through in silence
def activate(activation: activations.ActivationId, z: Array, backend: Backend = "auto") -> Array:
    """a = act(z), number by number, of z's shape and dtype; the activation is canonical."""
    result: Array = twins(resolve(backend, z.dtype), "activations").activate(activation, z)
    return result


@np.errstate(over="ignore", invalid="ignore")
def activation_derivative(
    activation: activations.ActivationId, z: Array, a: Array, backend: Backend = "auto"
) -> Array:
    """da/dz, number by number, given z and a = act(z)."""
    core = twins(resolve(backend, z.dtype), "activations")
    result: Array = core.activation_derivative(activation, z, a)
    return result


@np.errstate(over="ignore", invalid="ignore")  # infinity and NaN flow through in silence
def softmax(z: Array, backend: Backend = "auto") -> Array:
    """Probabilities of z[..., K] that sum to 1 over the last axis, of z's dtype [EQ 33]."""
    core = twins(resolve(backend, z.dtype), "softmax")
    result: Array = core.softmax(np.ascontiguousarray(z))
    return result


@np.errstate(over="ignore", invalid="ignore")
def softmax_backward(d_a: Array, a: Array, backend: Backend = "auto") -> Array:
    """The gradient on a, which is softmax(z), becomes that on z [EQ 34]."""
    core = twins(resolve(backend, a.dtype), "softmax")
    result: Array = core.softmax_backward(*map(np.ascontiguousarray, (d_a, a)))
    return result


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # a row of no numbers has ln 0
def log_softmax(z: Array, backend: Backend = "auto") -> Array:
    """The logarithm of `softmax`, also where that rounds to 0 [EQ 35]."""
    core = twins(resolve(backend, z.dtype), "softmax")
    result: Array = core.log_softmax(np.ascontiguousarray(z))
    return result


@np.errstate(over="ignore", invalid="ignore")
def log_softmax_backward(d_a: Array, a: Array, backend: Backend = "auto") -> Array:
    """The gradient on a, which is log_softmax(z), becomes that on z [EQ 36]."""
    core = twins(resolve(backend, a.dtype), "softmax")
    result: Array = core.log_softmax_backward(*map(np.ascontiguousarray, (d_a, a)))
    return result


def rows(array: Array) -> int:
    """How many vectors lie along the last axis of ``array``."""
    return math.prod(array.shape[:-1])


def initial_states(
    h0: Any, c0: Any, B: int, params: LSTMParams, copy: bool
) -> tuple[Array | None, Array | None]:
    """h0[B,P] and c0[B,H] as arrays of the weights' dtype; None stays None.

    Args:
        h0, c0, params: see ``lstm_forward``.
        B: the rows of the batch.
        copy: copied, for a cache that must outlive changes to what was given.

    Raises:
        ShapeError, DTypeError: as ``lstm_forward``.
    """
    dtype = params.kernel.dtype
    if h0 is not None:
        h0 = shaped(real_array(h0, "h0", dtype), (B, params.outputs), "h0", width_of_h(params))
    if c0 is not None:
        c0 = shaped(real_array(c0, "c0", dtype), (B, params.units), "c0", "(batch, units)")
    if copy:
        h0, c0 = (None if s is None else s.copy() for s in (h0, c0))
    return h0, c0


def width_of_h(params: LSTMParams) -> str:
    """The axes of the hidden state, in words."""
    if params.projection is None:
        return "(batch, units)"
    return "(batch, P), P being the width of the projected hidden state"


def plain(params: LSTMParams) -> LSTMParams:
    """The weights as arrays in native byte order: ``params`` itself where they are that already.

    Raises:
        DTypeError, ShapeError: as ``weight_array``.
    """
    converted = LSTMParams(
        weight_array(params.kernel, "kernel"),
        weight_array(params.recurrent_kernel, "recurrent_kernel"),
        *(
            None if weight is None else weight_array(weight, name)
            for name, weight in list(vars(params).items())[2:]
        ),
    )
    same = all(map(is_, vars(params).values(), vars(converted).values()))
    return params if same else converted


def plain_config(config: LSTMConfig) -> LSTMConfig:
    """The config with its activations in canonical form.

    Raises:
        ValueError: an unknown activation or masked-output rule, a clip that is not positive, or
            a switch that is neither True nor False.
    """
    if config.masked_output not in MASKED_OUTPUTS:
        raise ValueError(f"masked_output is {config.masked_output!r}: 'hold' or 'zero' is needed")
    clip: Any = config.clip
    if clip is not None:
        number = isinstance(clip, int | float | np.integer | np.floating)
        if not number or isinstance(clip, bool) or not clip > 0:
            raise ValueError(f"clip is {clip!r}: a positive number, or None for no bounds")
        clip = float(clip)  # NumPy's float64 would widen what it meets
    for option in ("go_backwards", "input_forget"):
        value: Any = getattr(config, option)
        if not isinstance(value, bool | np.bool_):
            raise ValueError(f"{option} is {value!r}: True or False is needed")
    given = config.activation, config.recurrent_activation, config.output_activation
    φ, σ, φ_h = (None if act is None else activations.activation_id(act) for act in given)
    φ, σ = φ or "linear", σ or "linear"
    if given == (φ, σ, φ_h) and clip is None:
        return config
    return replace(config, activation=φ, recurrent_activation=σ, output_activation=φ_h, clip=clip)
