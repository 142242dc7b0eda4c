"""The inputs of ONNX's operator LSTM, checked at the door, each by its own name."""

from typing import Any, NamedTuple

import numpy as np

from lstm_ref.checks import real_array, shaped, step_counts, weight_array
from lstm_ref.conventions import GATES, PEEPHOLE_GATES, Array
from lstm_ref.errors import DTypeError, ShapeError, UnsupportedError
from lstm_ref.layouts import params_from_onnx
from lstm_ref.onnx_op.axes import batch_first, in_layout
from lstm_ref.spec.parameters import LSTMParams

HALF_PRECISION = ("float16", "bfloat16")


class Weights(NamedTuple):
    """W[dirs,4H,D], R[dirs,4H,H], B[dirs,8H] and P[dirs,3H], which belong together."""

    W: Array
    R: Array
    B: Array | None
    P: Array | None

    def direction(self, n: int) -> LSTMParams:
        """The weights of one direction, as the core has them."""
        B, P = (None if w is None else w[n] for w in (self.B, self.P))
        return params_from_onnx(self.W[n], self.R[n], B, P)


def read_weights(
    W: Any, R: Any, B: Any, P: Any, direction: str, dirs: int, hidden_size: int | None
) -> Weights:
    """The four weights as arrays of one dtype.

    Raises:
        UnsupportedError, DTypeError: their numbers are of a dtype that is not computed in, or of
            several.
        ShapeError: their shapes do not fit together, or not the direction or ``hidden_size``.
    """
    W, R = weight_input(W, "W"), weight_input(R, "R")
    B, P = (None if w is None else weight_input(w, name) for w, name in ((B, "B"), (P, "P")))
    axes = {"W": "[dirs,4H,D]", "R": "[dirs,4H,H]", "B": "[dirs,8H]", "P": "[dirs,3H]"}
    for name, weight in (("W", W), ("R", R)):
        if weight.ndim != 3:
            advice = f"; one direction's is {name}[None]" if weight.ndim == 2 else ""
            raise ShapeError(f"{name} has shape {weight.shape}, and {axes[name]} is needed{advice}")
    H, D = R.shape[2], W.shape[2]
    if hidden_size is not None and hidden_size != H:
        raise ShapeError(f"hidden_size is {hidden_size}, and R of shape {R.shape} has H = {H}")

    width = len(GATES) * H
    where = f"for direction={direction!r} and H = {H} as R has it"
    fits = {
        "R": (R, (dirs, width, H)),
        "W": (W, (dirs, width, D)),
        "B": (B, (dirs, 2 * width)),
        "P": (P, (dirs, len(PEEPHOLE_GATES) * H)),
    }
    for name, (weight, shape) in fits.items():
        if weight is not None:
            shaped(weight, shape, name, f"{axes[name]}, {where}" + weight_advice(weight, name))
    dtypes = {name: weight.dtype for name, (weight, _) in fits.items() if weight is not None}
    if len(set(dtypes.values())) > 1:
        found = ", ".join(f"{name} {dtype}" for name, dtype in dtypes.items())
        raise DTypeError(f"the weights have different dtypes, {found}: cast them to one")
    return Weights(W, R, B, P)


def weight_advice(weight: Array, name: str) -> str:
    """The usual mistake behind the shape of a weight."""
    if name == "R" and weight.shape[1] * len(GATES) == weight.shape[2]:
        return (
            "; this one looks like Keras' recurrent kernel: use R.swapaxes(1, 2), with the gates "
            "in the order i, o, f, c"
        )
    if name in ("B", "P") and weight.ndim == 1:
        return f"; one direction's is {name}[None]"
    return ""


def weight_input(value: Any, name: str) -> Array:
    """A weight, in the floating-point dtype it has."""
    return weight_array(full_precision(value, name), name)


def read_input(X: Any, D: int, dtype: np.dtype[Any], layout: int) -> Array:
    """X in the dtype of the weights, as [batch,T,D].

    Raises:
        UnsupportedError, DTypeError, ShapeError: it is something else.
    """
    array = real_array(full_precision(X, "X"), "X", dtype)
    axes = axes_names(("batch", "T", "D"), layout)
    if array.ndim != 3:
        raise ShapeError(f"X has shape {array.shape}, and {axes} is needed")
    if array.shape[2] != D:
        raise ShapeError(
            f"X has shape {array.shape}, {array.shape[2]} features a step, and W was made for {D}: "
            f"{axes} is needed"
        )
    return batch_first(array, layout)


def read_batch(
    value: Any, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], layout: int
) -> Array:
    """An initial state, or the gradient on an output, with the batch axis in front.

    Args:
        shape: what it is then: [batch,dirs,H] or [batch,T,dirs,H].

    Raises:
        UnsupportedError, DTypeError, ShapeError: it is something else.
    """
    array = real_array(full_precision(value, name), name, dtype)
    axes = ("batch", "dirs", "H") if len(shape) == 3 else ("batch", "T", "dirs", "H")
    meaning = axes_names(axes, layout)
    if array.shape == in_layout(shape, 1 - layout):
        meaning += "; this one is that of the other layout"
    return batch_first(shaped(array, in_layout(shape, layout), name, meaning), layout)


def axes_names(batch_first_axes: tuple[str, ...], layout: int) -> str:
    """The axes as the operator has them, for an error's sentence."""
    return f"[{','.join(in_layout(batch_first_axes, layout))}] with layout={layout}"


def read_sequence_lens(value: Any, batch: int, T: int) -> Array:
    """How many steps of each row are real, int64 [batch].

    Raises:
        ShapeError: it is something else, or a row has more than T steps.
    """
    lengths = step_counts(value, T, "sequence_lens")
    return shaped(lengths, (batch,), "sequence_lens", "[batch], the real steps of each row")


def full_precision(value: Any, name: str) -> Any:
    """``value``, if it is not in half precision.

    Raises:
        UnsupportedError: it is.
    """
    dtype = getattr(getattr(value, "dtype", None), "name", None)
    if dtype in HALF_PRECISION:
        raise UnsupportedError(
            f"{name} is {dtype}, and this operator computes in float32 and float64: convert every "
            f"input with astype('float32'), which loses nothing of {dtype}"
        )
    return value
