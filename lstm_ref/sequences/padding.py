"""Sequences of different lengths as one rectangle, and the mask that tells padding from data."""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lstm_ref.checks import step_counts
from lstm_ref.conventions import Array
from lstm_ref.errors import ShapeError

if TYPE_CHECKING:  # importing it takes as long as half of the package
    from numpy.typing import ArrayLike, DTypeLike

SIDES = ("pre", "post")


def pad_sequences(
    sequences: Sequence[Any],
    maxlen: int | None = None,
    dtype: "DTypeLike" = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> Array:
    """Sequences of different lengths as one array [B,T], or [B,T,D] for steps of D features.

    The arguments, their order, their defaults and the result are those of
    ``keras.utils.pad_sequences``. Two of the defaults surprise: padding goes *before* the data,
    and the result is int32, which cuts off fractions (there is a warning when it does).

    Args:
        sequences: B sequences; each a list or an array of steps, all steps of one shape.
        maxlen: T; None for the longest. Longer sequences are cut.
        dtype: of the result. Give ``"float32"`` for measurements, ``object`` for strings.
        padding: ``"pre"`` or ``"post"``, the side that is filled up.
        truncating: ``"pre"`` or ``"post"``, the side of a longer sequence that is cut off.
        value: what padding is filled with. With a ``Masking(mask_value)`` layer after it, choose
            a value that no real step has in all its features.

    Returns:
        [B,T] or [B,T,D]. An empty sequence is all padding. Without any sequence, [0, maxlen or 0].

    Raises:
        ShapeError: something without a length in place of a sequence, or steps of different shapes.
        ValueError: an unknown side, a negative ``maxlen``, NaN for an integer ``dtype``, a string
            as ``value`` of numbers.
        OverflowError: a number that an integer ``dtype`` cannot hold.
    """
    for name, side in (("padding", padding), ("truncating", truncating)):
        if side not in SIDES:
            raise ValueError(f"pad_sequences({name}={side!r}): 'pre' or 'post' is needed")
    if maxlen is not None and maxlen < 0:
        raise ValueError(f"pad_sequences(maxlen={maxlen}): a length cannot be negative")
    dtype = np.dtype(dtype)
    if isinstance(value, str) and dtype.kind not in "OUS":
        raise ValueError(
            f"pad_sequences(value={value!r}, dtype={str(dtype)!r}): text cannot pad numbers; "
            "for sequences of strings give dtype=object"
        )

    lengths = _lengths(sequences)
    T = max(lengths, default=0) if maxlen is None else int(maxlen)
    kept = []  # the steps of each sequence that stay, of the dtype asked for
    lossy = _Lossy(dtype)
    for row, (sequence, length) in enumerate(zip(sequences, lengths, strict=True)):
        cut = slice(length - T, None) if truncating == "pre" and length > T else slice(T)
        kept.append(lossy.cast(sequence[cut], f"sequence {row}"))

    filled = (row for row, length in enumerate(lengths) if length)
    first = next(filled, None)
    step_shape = () if first is None else np.shape(sequences[first])[1:]
    lossy.cast(value, "value")
    padded = np.full((len(sequences), T, *step_shape), value, dtype)  # [B,T,...]
    for row, steps in enumerate(kept):
        if len(steps) == 0:
            continue  # all padding
        if steps.shape[1:] != step_shape:
            raise ShapeError(
                f"sequence {row} has steps of shape {steps.shape[1:]}, and those of sequence "
                f"{first} have {step_shape}: every step needs the same features"
            )
        start = T - len(steps) if padding == "pre" else 0
        padded[row, start : start + len(steps)] = steps
    lossy.warn()
    return padded


def _lengths(sequences: Any) -> list[int]:
    """The length of each sequence."""
    if not hasattr(sequences, "__len__"):
        raise ShapeError(
            f"pad_sequences got a {type(sequences).__name__}, and a list of sequences is needed; "
            "for a generator use list(...)"
        )
    lengths = []
    for row, sequence in enumerate(sequences):
        try:
            lengths.append(len(sequence))
        except TypeError as error:
            raise ShapeError(
                f"sequence {row} is {sequence!r}, which has no steps: pad_sequences takes a list "
                "of sequences; for a single sequence write [sequence]"
            ) from error
    return lengths


class _Lossy:
    """Casts to the dtype asked for; remembers the first number that an integer dtype changed."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.example: tuple[Any, Any, str] | None = None

    def cast(self, given: Any, name: str) -> Array:
        """``given`` as an array of the dtype.

        Raises:
            ShapeError: rows of different lengths where there should be steps.
            ValueError, OverflowError: NaN, infinity or a number too large, for an integer dtype.
        """
        try:
            source = np.asarray(given) if self.dtype.kind != "O" else np.asarray(given, object)
        except ValueError as error:
            raise ShapeError(
                f"{name} has steps with different numbers of features: every step needs the same"
            ) from error
        if self.dtype.kind in "iu" and source.dtype.kind in "fiu":
            self._check(source, name)
        return source.astype(self.dtype)

    def _check(self, source: Array, name: str) -> None:
        """Refuse what an integer dtype cannot hold; remember what it cuts."""
        wrong = ~np.isfinite(source)
        if wrong.any():
            raise ValueError(
                f"{name} holds {source[wrong][0]}, and dtype={str(self.dtype)!r} has no such "
                "number: give dtype='float32'"
            )
        limits = np.iinfo(self.dtype)
        wrong = (source < limits.min) | (source > limits.max)
        if wrong.any():
            raise OverflowError(
                f"{name} holds {source[wrong][0]}, and dtype={str(self.dtype)!r} ends at "
                f"{limits.min} and {limits.max}: give a wider dtype, such as 'int64' or 'float32'"
            )
        wrong = source != np.trunc(source)
        if wrong.any() and self.example is None:
            cut = source[wrong][0]
            self.example = (cut, int(cut), name)

    def warn(self) -> None:
        """One warning for a whole call."""
        if self.example is not None:
            before, after, name = self.example
            warnings.warn(
                f"pad_sequences(dtype={str(self.dtype)!r}) cut off fractions: {before} became "
                f'{after} in {name}. Give dtype="float32" to keep them',
                stacklevel=3,
            )


def mask_from_lengths(lengths: "ArrayLike", T: int, padding: str = "post") -> Array:
    """The mask [B,T] of sequences padded to T steps: True at the steps that are data.

    Args:
        lengths: [B] whole numbers from 0 to T.
        T: the number of steps after padding.
        padding: the side that was filled up, as it was given to `pad_sequences` (where the
            default is ``"pre"``).

    Raises:
        ShapeError: lengths that are not one number for each row, or do not fit into T steps.
        ValueError: an unknown side.
    """
    if padding not in SIDES:
        raise ValueError(f"mask_from_lengths(padding={padding!r}): 'pre' or 'post' is needed")
    ends = step_counts(lengths, T)[:, None]  # [B,1]
    steps = np.arange(T)
    mask: Array = steps < ends if padding == "post" else steps >= T - ends  # [B,T]
    return mask
