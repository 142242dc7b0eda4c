"""Checks of arrays at the door, each with the sentence that helps: what came, what was needed.

Inside the door nothing is checked again: spec and kernels take what comes out of here.
"""

from typing import Any

import numpy as np

from lstm_ref.conventions import GATES, PEEPHOLE_GATES, Array
from lstm_ref.errors import DTypeError, ShapeError
from lstm_ref.spec.parameters import LSTMParams

REAL_KINDS = "fiub"
"""NumPy's letters for floating-point numbers, integers (signed and not) and booleans."""


def is_whole(value: Any, least: int) -> bool:
    """Whether ``value`` is a whole number, of Python or NumPy, of at least ``least``."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return whole and bool(value >= least)


def real_numbers(value: Any, name: str) -> Array:
    """``value`` as a plain array of real numbers of whatever dtype it has.

    Masked entries of a ``numpy.ma`` array become NaN, so that they are seen.

    Raises:
        DTypeError: complex numbers, objects, strings, dates.
        ShapeError: a ragged list.
    """
    if isinstance(value, np.ma.MaskedArray) and value.dtype.kind in REAL_KINDS:
        value = np.ma.filled(value.astype(np.result_type(value.dtype, np.float32)), np.nan)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ShapeError(
            f"{name} is a nested list whose rows differ in length: pad them first, for example "
            "with pad_sequences(..., dtype='float32')"
        ) from error
    if array.dtype.kind not in REAL_KINDS:
        hint = {
            "c": "take the real part, or its magnitude, first",
            "O": "rows of unequal length, or None among the numbers, usually make such an array; "
            "pad with pad_sequences, or convert with np.asarray(..., dtype='float32')",
        }.get(array.dtype.kind, "convert it to numbers first")
        raise DTypeError(f"{name} has dtype {array.dtype}, and real numbers are needed: {hint}")
    return array


def real_array(value: Any, name: str, dtype: np.dtype[Any] | None = None) -> Array:
    """``value`` as an array of real numbers in native byte order, converted to ``dtype``.

    Lists, integers, booleans, float16, big-endian and strided arrays are converted; without a
    ``dtype``, what is not float32, float64 or longdouble becomes float32.

    Raises:
        DTypeError, ShapeError: as ``real_numbers``.
    """
    array = real_numbers(value, name)
    if dtype is None:
        keeps = array.dtype.kind == "f" and array.dtype.itemsize >= 4
        dtype = array.dtype.newbyteorder("=") if keeps else np.dtype(np.float32)
    return array.astype(dtype, copy=False)


def weight_array(value: Any, name: str) -> Array:
    """``value`` as an array in the floating-point dtype it has, which everything is computed in.

    Lists, matrices and big-endian arrays are converted.

    Raises:
        DTypeError: numbers that are not float32, float64 or longdouble.
        ShapeError: a ragged list.
    """
    array = real_numbers(value, name)
    if array.dtype.kind != "f" or array.dtype.itemsize < 4:
        raise DTypeError(
            f"{name} is {array.dtype}, and weights are float32 or float64: convert it, for example "
            "with weights.astype('float32'), which loses nothing of float16"
        )
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def shaped(array: Array, shape: tuple[int, ...], name: str, meaning: str) -> Array:
    """``array``, if it has the ``shape``.

    Raises:
        ShapeError: otherwise; ``meaning`` says what the axes are.
    """
    if array.shape != shape:
        raise ShapeError(f"{name} has shape {array.shape}, and {shape} is needed: {meaning}")
    return array


def sequence_batch(value: Any, dtype: np.dtype[Any], features: int) -> Array:
    """``value`` as [B,T,D] of the weights' dtype.

    Raises:
        ShapeError: another rank, or another feature count than the weights were made for.
    """
    x = real_array(value, "x", dtype)
    if x.ndim != 3:
        raise ShapeError(f"x has shape {x.shape}: {rank_advice(x.ndim)}")
    if x.shape[2] != features:
        raise ShapeError(
            f"x has shape {x.shape}, {x.shape[2]} features a step, and the weights were made for "
            f"{features}: the last axis holds the features, (batch, time, features)"
            + ("; batch and time may be swapped with it" if features in x.shape[:2] else "")
        )
    return x


def rank_advice(ndim: int) -> str:
    """The usual way from an input of the wrong rank to (batch, time, features)."""
    fix = {
        1: "for one sequence of one feature use x[None, :, None]",
        2: "for one feature per step use x[..., None], for one sequence of several features "
        "use x[None]",
    }.get(ndim, "flatten what belongs to one step into its features, x.reshape(batch, time, -1)")
    return f"an LSTM reads (batch, time, features); {fix}"


def step_mask(mask: Any, B: int, T: int) -> Array:
    """``mask`` as bool [B,T]; integer and float masks are cast, as Keras does.

    Raises:
        ShapeError: another shape, with the advice for the usual ones.
        DTypeError: something that is no number.
    """
    try:
        steps = np.asarray(mask)
    except ValueError as error:
        raise ShapeError(
            f"mask is a nested list whose rows differ in length, and {(B, T)} is needed: one True "
            "or False for each row and time step, those of the padding included"
        ) from error
    if steps.dtype.kind not in REAL_KINDS:
        raise DTypeError(f"mask has dtype {steps.dtype}, and True or False for each step is needed")
    advice = "one True or False for each row and time step, (batch, time)"
    if steps.shape == (B,):
        advice += "; from the lengths of the rows use mask_from_lengths(lengths, T)"
    elif steps.shape == (B, T, 1):
        advice += "; drop the last axis with mask[..., 0]"
    elif steps.shape == (T, B) and T != B:
        advice += "; this one looks transposed"
    return shaped(steps.astype(bool), (B, T), "mask", advice)


def step_counts(lengths: Any, T: int, name: str = "lengths") -> Array:
    """``lengths`` as int64 [B], each from 0 to T; ``name`` is for messages.

    Raises:
        ShapeError: lengths that are not one whole number for each row, or do not fit into T steps.
    """
    counts = np.asarray(lengths)
    if counts.size == 0:
        counts = counts.astype(np.int64)
    if counts.ndim != 1 or counts.dtype.kind not in "iu":
        raise ShapeError(
            f"{name} has shape {counts.shape} and dtype {counts.dtype}, and one whole number for "
            "each row is needed; from a list of sequences: [len(s) for s in sequences]"
        )
    outside = (counts < 0) | (counts > T)
    if outside.any():
        row = int(np.argmax(outside))
        raise ShapeError(
            f"{name}[{row}] is {counts[row]}, and a row has 0 to {T} steps; after cutting with "
            "maxlen use np.minimum(lengths, maxlen)"
        )
    return counts.astype(np.int64)


def lengths_mask(lengths: Any, B: int, T: int) -> Array:
    """The mask, bool [B,T], of rows whose first ``lengths`` steps are real.

    Raises:
        ShapeError: as ``step_counts``, or another number of rows.
    """
    counts = shaped(step_counts(lengths, T), (B,), "lengths", "one whole number for each row")
    return np.asarray(np.arange(T) < counts[:, None])


def lstm_weights(params: LSTMParams) -> None:
    """Check that the weights belong together.

    Raises:
        ShapeError: shapes that do not, or another framework's layout.
        DTypeError: weights of different dtypes.
    """
    kernel, recurrent_kernel = params.kernel, params.recurrent_kernel
    if kernel.ndim != 2 or recurrent_kernel.ndim != 2:
        raise ShapeError(
            f"kernel has shape {kernel.shape} and recurrent_kernel {recurrent_kernel.shape}: "
            "W[D,4H] and U[H,4H] are needed"
        )
    D, (P, width) = kernel.shape[0], recurrent_kernel.shape
    H, rest = divmod(width, len(GATES))
    if params.projection is None:
        fits, needed = not rest and P == H, "U[H,4H]"
    else:
        fits = not rest and H in params.projection.shape  # a transposed one is told below
        needed = f"U[P,4H], for the {len(params.projection)} units of projection,"
    if not fits:
        advice = ""
        if P % len(GATES) == 0 and (P == len(GATES) * width or params.projection is not None):
            advice = "; PyTorch's weight_hh is its transpose, use weight_hh.T"
        elif not rest and params.projection is None:
            advice = f"; U[P,4H] is that of an LSTM with projection=R[{H},{P}]"
        raise ShapeError(
            f"recurrent_kernel has shape {recurrent_kernel.shape}, and {needed} is needed, the "
            f"blocks of i, f, g, o side by side{advice}"
        )
    shaped(kernel, (D, width), "kernel", f"W[D,4H], for {H} units as recurrent_kernel says")
    if params.bias is not None:
        advice = f"b[4H], for {H} units as recurrent_kernel says"
        if params.bias.shape == (2 * width,):
            advice += "; a bias of 8H holds two, add its halves"
        shaped(params.bias, (width,), "bias", advice)
    if params.peephole is not None:
        meaning = f"p[3H], the weights of i, f and o side by side, for {H} units"
        shaped(params.peephole, (len(PEEPHOLE_GATES) * H,), "peephole", meaning)
    if params.projection is not None:
        advice = f"R[H,P], for {H} units and the {P} rows of recurrent_kernel"
        if params.projection.shape == (P, H) != (H, P):
            advice += "; PyTorch's weight_hr is its transpose, use weight_hr.T"
        shaped(params.projection, (H, P), "projection", advice)
    dtypes = {w.dtype for w in vars(params).values() if w is not None}
    if len(dtypes) > 1:
        raise DTypeError(
            f"the weights have different dtypes, {', '.join(sorted(map(str, dtypes)))}: "
            "cast them to one"
        )


def dropout_factors(value: Any, name: str, rows: int, width: int, dtype: np.dtype[Any]) -> Array:
    """``value`` as dropout factors, [rows,width] or [4,rows,width].

    Raises:
        ShapeError, DTypeError: something else.
    """
    factors = real_array(value, name, dtype)
    shape = (rows, width)
    if factors.shape != (len(GATES), *shape):
        meaning = "one factor for each row and number, or (4, ...) with those of i, f, g, o each"
        shaped(factors, shape, name, meaning)
    return factors
