"""What ``fit``, ``evaluate`` and ``predict`` take as x, y and weights, and the way to batches."""

import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from lstm_ref.checks import real_numbers
from lstm_ref.conventions import Array
from lstm_ref.errors import ShapeError, UnsupportedError
from lstm_ref.training.batches import Batch, Data, checked_batch_size
from lstm_ref.training.feeds import ArrayFeed, DatasetFeed, Feed, IteratorFeed
from lstm_ref.training.labels import class_weights
from lstm_ref.training.numbers import whole_number
from lstm_ref.training.py_dataset import PyDataset
from lstm_ref.training.targets import match_weight

if TYPE_CHECKING:
    from lstm_ref.training.evaluator import Evaluator

ARRAYS = (np.ndarray, list, tuple, dict, str, bytes, int, float)
"""What is data itself, and not something that gives batches of it."""


Fitted = tuple[Array, Array, Array | None]
"""(x, y, weight) that fit each other and a model."""

Fitting = Callable[[int | None, Any, Any, Any], Fitted]
"""Makes them of what came, for batches of so many rows (None: these are one batch)."""


NO_BATCH = (
    "there was no batch; a generator, like every iterator, is used up after the first time: give "
    "an iterable that begins anew, or one that goes on for ever and a number of steps"
)


def feed(
    model: "Evaluator",
    method: str,
    x: Any,
    y: Any,
    weight: Any,
    batch_size: int | None,
    *,
    class_weight: Any = None,
    steps: int | None = None,
    targets: bool = True,
    first: int = 0,
) -> Feed:
    """Whatever ``fit``, ``evaluate`` and ``predict`` take as x, y and sample weights.

    Args:
        model: which they are made to fit; it is built if it was not.
        method: for messages.
        x, y, weight, batch_size, class_weight, steps: see ``fit``.
        targets: False leaves targets and weights alone; x is in their place in each batch.
        first: the number of the first row, for messages.

    Raises:
        UnsupportedError: y or a batch size beside batches, or no targets.
        ShapeError: arrays that do not fit each other or the model.
    """
    if steps is not None:
        whole_number(steps, f"{method}: the number of steps")
    fitting = partial(_fitting, model, method, class_weight) if targets else partial(_inputs, model)
    if not gives_batches(x):
        if batch_size is None and steps is not None and hasattr(x, "__len__"):
            batch_size = max(-(-len(x) // steps), 1)  # as Keras: all rows in so many steps
        rows = checked_batch_size(batch_size)
        data = _arrays(rows, x, y if targets else x, weight, fitting, first)
        return ArrayFeed(data, rows)
    for argument, given, advice in (
        ("y", y, "each batch is (x, y)"),
        ("sample_weight", weight, "each batch may be (x, y, sample_weight)"),
        ("batch_size", batch_size, "they come as they are"),
    ):
        if given is not None:
            raise UnsupportedError(
                f"{method}({argument}=...): x gives batches, so there is no {argument} beside "
                f"it; {advice}"
            )

    def read(item: Any) -> Batch:
        return _numbered(fitting(None, *unpacked(item, f"a batch for {method}")))

    return IteratorFeed(x, read) if not is_numbered(x) else DatasetFeed(x, read)


def _arrays(rows: int, x: Any, y: Any, weight: Any, fitting: Fitting, first: int) -> Data:
    """Arrays for batches of so many rows, made to fit each other and the model.

    Arrays on the disk (``np.memmap``) stay there: each batch is read, checked and converted
    when its turn comes.
    """
    if y is None or not any(isinstance(array, np.memmap) for array in (x, y, weight)):
        return Data(*fitting(rows, x, y, weight), first=first)
    x, y, weight = (None if a is None else np.asanyarray(a) for a in (x, y, weight))
    lengths = [array.shape[:1] for array in (x, y, weight) if array is not None]
    if len(set(lengths)) > 1 or not lengths[0]:
        raise ShapeError(
            f"the first axes of x, y and sample_weight are {lengths}: each has as many rows as x"
        )
    # The first rows, so that what does not fit is said before anything begins.
    fitting(rows, x[:rows], y[:rows], None if weight is None else weight[:rows])
    return Data(x, y, weight, first, partial(fitting, rows))


def one_batch(
    model: "Evaluator", method: str, x: Any, y: Any, weight: Any, class_weight: Any
) -> Batch:
    """Arrays as one batch; see `feed`."""
    return _numbered(_fitting(model, method, class_weight, None, x, y, weight))


def _numbered(arrays: Fitted) -> Batch:
    """Arrays that fit as a batch, whose rows count from 0."""
    return Batch(*arrays, np.arange(len(arrays[0])))


def _inputs(
    model: "Evaluator",
    batch_size: int | None,
    x: Any,
    y: Any,  # noqa: ARG001
    weight: Any,  # noqa: ARG001
) -> Fitted:
    """x as the model reads it, alone.

    Raises:
        UnsupportedError: it is missing.
    """
    if x is None:
        raise UnsupportedError("predict needs an array, or batches, and x is None")
    x = model.prepare(x, batch_size)
    return x, x, None


def _fitting(
    model: "Evaluator",
    method: str,
    class_weight: Any,
    batch_size: int | None,
    x: Any,
    y: Any,
    weight: Any,
) -> Fitted:
    """x, the targets and the weights of all losses, as arrays that fit each other.

    Raises:
        UnsupportedError: something is missing.
        ShapeError: they do not fit.
    """
    if x is None or y is None:
        raise UnsupportedError(
            f"{method} needs arrays for both the inputs x and the targets y, and "
            f"{'x' if x is None else 'y'} is missing; or x gives batches (x, y)"
        )
    _, loss = model.compiled(method)
    x = model.prepare(x, batch_size)
    like = model.prediction_like(x, len(x))
    target, per_row = loss.fit_target(y, like.shape, like.dtype)
    if not len(x):
        raise ShapeError(f"{method} needs at least one row, and x has shape {x.shape}")
    weights = match_weight(weight, like.shape, like.dtype, per_row)
    if class_weight is not None:
        weights = class_weights(target, class_weight, like.shape, like.dtype, weights)
    return x, target, weights


def split(x: Any, y: Any, weight: Any, fraction: Any) -> tuple[list[Any], list[Any], int]:
    """[x, y, weight] of all but the last ``fraction`` of the rows, of those, and where they begin.

    Nothing is shuffled before. Keras: ``keras.src.trainers.data_adapters.array_slicing``.

    Raises:
        ValueError: ``validation_split`` is no number between 0 and 1.
        UnsupportedError: x gives batches.
        ShapeError: one part would have no rows.
    """
    if not isinstance(fraction, float | np.floating) or not 0 < fraction < 1:
        raise ValueError(f"validation_split={fraction!r}: a number between 0 and 1 is needed")
    if gives_batches(x):
        raise UnsupportedError(
            f"validation_split={fraction}: x gives batches, and only arrays can be split; give "
            "validation_data"
        )
    arrays = [
        a if a is None or isinstance(a, np.memmap) else real_numbers(a, name)
        for a, name in ((x, "x"), (y, "y"), (weight, "sample_weight"))
    ]
    rows = 0 if arrays[0] is None or not arrays[0].ndim else len(arrays[0])
    at = math.floor(rows * (1.0 - fraction))
    if not 0 < at < rows:
        raise ShapeError(
            f"validation_split={fraction} of {rows} rows leaves {at} to train on and {rows - at} "
            "to validate with: both parts need one"
        )
    train, held_out = (
        [None if a is None else a[part] for a in arrays] for part in (slice(0, at), slice(at, None))
    )
    return train, held_out, at


def gives_batches(x: Any) -> bool:
    """Whether x is no array but gives batches of arrays."""
    if x is None or isinstance(x, ARRAYS) or hasattr(x, "shape") or hasattr(x, "__array__"):
        return False
    return isinstance(x, Iterable) or is_numbered(x)


def is_numbered(x: Any) -> bool:
    """Whether batches can be had by number."""
    numbered = hasattr(x, "__len__") and hasattr(x, "__getitem__")
    return isinstance(x, PyDataset) or (numbered and not isinstance(x, Iterator))


def unpacked(data: Any, what: str) -> tuple[Any, Any, Any]:
    """(x, y, sample_weight), the last two None where they are missing.

    Raises:
        UnsupportedError: something else than x, (x,), (x, y) or (x, y, sample_weight).
    """
    if isinstance(data, dict):
        raise UnsupportedError(f"{what} is a dict: (x, y) or (x, y, sample_weight) is needed")
    parts = list(data) if isinstance(data, tuple | list) else [data]
    if len(parts) not in (1, 2, 3):
        raise UnsupportedError(
            f"{what} has {len(parts)} parts: (x, y) or (x, y, sample_weight) is needed"
        )
    x, y, weight = [*parts, None, None][:3]
    return x, y, weight
