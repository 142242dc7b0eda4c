"""What a model does with data without learning from it: compile, evaluate, predict."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from lstm_ref.checks import real_numbers
from lstm_ref.conventions import Array
from lstm_ref.errors import ShapeError, UnsupportedError
from lstm_ref.layers.base import Layer, refuse
from lstm_ref.layers.stack import Pass, Stack
from lstm_ref.training import bptt as strategies
from lstm_ref.training import losses, metrics, optimizers
from lstm_ref.training.batches import Batch, Data, checked_batch_size, whole_number
from lstm_ref.training.callbacks import CallbackList
from lstm_ref.training.feeds import ArrayFeed, DatasetFeed, Epochs, Feed, IteratorFeed
from lstm_ref.training.labels import class_weights
from lstm_ref.training.progress import Progress, Verbose, verbosity
from lstm_ref.training.py_dataset import PyDataset
from lstm_ref.training.reading import readable
from lstm_ref.training.targets import match_weight

ARRAYS = (np.ndarray, list, tuple, dict, str, bytes, int, float)
"""What is data itself, and not something that gives batches of it."""


Fitting = Callable[[int | None, Any, Any, Any], tuple[Array, Array, Array | None]]
"""Makes (x, y, weight) of what came, for batches of so many rows (None: these are one batch)."""


class Judged(NamedTuple):
    """A batch that was predicted, and its loss."""

    value: float
    """The loss, with the penalties of regularizers."""
    y: Array
    """The prediction."""
    mask: Array | None
    """Its mask, [B,T]."""


class Evaluator(Stack):
    """Layers that are judged. `Trainer` adds learning, `Sequential` files and the table.

    Args:
        layers, name: see `Stack`.
    """

    def __init__(self, layers: Sequence[Layer], name: str) -> None:
        self.optimizer: optimizers.Optimizer | None = None
        self.loss: losses.Loss | None = None
        self.bptt: strategies.BPTT | None = None
        self.report = metrics.Report([], [])
        super().__init__(layers, name)

    # Keras' methods.

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Sequence[Any] | None = None,
        weighted_metrics: Sequence[Any] | None = None,
        run_eagerly: bool = False,  # noqa: ARG002
        steps_per_execution: int = 1,  # noqa: ARG002
        jit_compile: bool | str = "auto",  # noqa: ARG002
        auto_scale_loss: bool = True,  # noqa: ARG002
        *,
        bptt: Any = None,
    ) -> None:
        """Choose how the model is trained and judged.

        Args:
            optimizer: "sgd", "adam", "adamw", "nadam", "rmsprop", "adagrad", or an object with
                settings of its own; see `lstm_ref.optimizers`.
            loss: a name such as "mse" or "sparse_categorical_crossentropy", an object, or a
                function of one's own with its gradient; see `lstm_ref.losses`.
            metrics: names or objects, reported beside the loss; masks count, sample weights not.
            weighted_metrics: the same, with sample weights too.
            loss_weights: refused.
            run_eagerly, steps_per_execution, jit_compile, auto_scale_loss: how Keras computes;
                accepted, without effect on values.
            bptt: how gradients go back through time. None keeps everything of a batch until then;
                `TruncatedBPTT` and `RecomputedBPTT` take less memory for long sequences. (Keras
                has no such argument.)

        Raises:
            UnsupportedError: naming what is not supported.
        """
        refuse("compile", {"loss_weights": loss_weights})
        self.optimizer = optimizers.get(optimizer)
        self.loss = None if loss is None else losses.get(loss)
        self.bptt = strategies.get(bptt)
        self.report = _report(metrics, weighted_metrics)

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Verbose = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """The loss and metrics on this data; the arguments are those of ``fit``.

        Args:
            steps: so many batches instead of all.
            callbacks: told of the test and its batches.

        Returns:
            The loss alone, or [loss, metric, ...] where there are metrics, or with `return_dict`
            ``{"loss": ..., "mae": ...}``.
        """
        _, loss = self.compiled("evaluate")
        feed = self.feed("evaluate", x, y, sample_weight, batch_size, steps=steps)
        calls = CallbackList.of(callbacks, self, {"verbose": verbose, "epochs": 1, "steps": steps})
        logs = self.judge_all(Epochs(feed, steps), loss, verbosity(verbose), calls)
        if logs is None:
            raise ValueError(f"evaluate: {NO_BATCH}")
        return logs if return_dict else values(logs)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Verbose = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Array:
        """The predictions for x, [N,T,K] or [N,K], computed ``batch_size`` rows at a time.

        Args:
            x: an array, or batches: a `PyDataset`, a generator or another iterable. What is beside
                x in a batch is left alone.
            steps: so many batches instead of all.
            callbacks: told of the prediction and its batches.
        """
        feed = self.feed("predict", x, None, None, batch_size, steps=steps, targets=False)
        epochs = Epochs(feed, steps)
        calls = CallbackList.of(callbacks, self, {"verbose": verbose, "epochs": 1, "steps": steps})
        calls.on_predict_begin()
        parts: list[Array] = []
        with Progress(epochs.steps, verbosity(verbose)) as progress:
            for number, batch in epochs.epoch(0):
                calls.on_predict_batch_begin(number)
                parts.append(self.run(batch.x, training=False, keep_cache=False).y)
                calls.on_predict_batch_end(number, {"outputs": parts[-1]})
                progress.advance()
        calls.on_predict_end()
        if not parts and gives_batches(x):
            raise ValueError(f"predict: {NO_BATCH}")
        if not parts:
            return self.prediction_like(self.prepare(x, None), 0)
        if len(lengths := {part.shape[1:] for part in parts}) > 1:
            raise ShapeError(
                f"the batches have predictions of different shapes, {sorted(lengths)} a row, and "
                "one array holds them all: pad the sequences to one length, or call "
                "predict_on_batch for each batch"
            )
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def predict_on_batch(self, x: Any) -> Array:
        """The predictions for x as one batch."""
        return self.run(self.prepare(x, None), training=False, keep_cache=False).y

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Loss and metrics of all of x as one batch; the arguments are those of `evaluate`."""
        _, loss = self.compiled("test_on_batch")
        batch = self.batch("test_on_batch", x, y, sample_weight)
        self.report.reset()
        self.judge(batch, loss)
        logs = self.report.result()
        return logs if return_dict else values(logs)

    def reset_metrics(self) -> None:
        """Forget the averages so far. Every method here does so itself before it begins."""
        self.report.reset()

    @property
    def metrics_names(self) -> list[str]:
        """The names of what `evaluate` returns, in its order."""
        return ["loss", *self.report.names]

    # What these share with training.

    def judge_all(
        self, epochs: Epochs, loss: losses.Loss, verbose: int, calls: CallbackList
    ) -> dict[str, float] | None:
        """The loss and metrics over all batches; None when there is none."""
        self.report.reset()
        calls.on_test_begin()
        number = -1
        with Progress(epochs.steps, verbose) as progress:
            for number, batch in epochs.epoch(0):
                calls.on_test_batch_begin(number)
                self.judge(batch, loss)
                if progress.shows_batches or calls.on_test_batch_end.called:
                    logs = self.report.result()
                    calls.on_test_batch_end(number, logs)
                    progress.advance(logs)
                else:
                    progress.advance()
            if number < 0:
                return None
            logs = self.report.result()
            progress.finish(logs)
        calls.on_test_end(logs)
        return logs

    @np.errstate(over="ignore", invalid="ignore")  # what diverges shows as inf or NaN in the loss
    def judge(self, batch: Batch, loss: losses.Loss) -> None:
        """Add one batch to the report."""
        forward = self.run(batch.x, training=False, keep_cache=False, link=loss.link)
        self.add_to_report(batch, self.judged(batch, forward, loss), loss, forward.logits)

    def judged(self, batch: Batch, forward: Pass, loss: losses.Loss) -> Judged:
        """The loss of a batch that was predicted, with the penalties of regularizers."""
        reading, y = readable(forward, loss)
        value = reading.value(batch.y, y, batch.weight, forward.mask)
        value = value + self.weight_penalty() + forward.penalty
        return Judged(value, forward.y, forward.mask)

    def add_to_report(
        self,
        batch: Batch,
        judged: Judged | strategies.Learned,
        loss: losses.Loss,
        logits: Array | None = None,
    ) -> None:
        """Add a batch that is already judged to the report.

        Raises:
            ValueError: the loss is NaN because a target that counts is.
        """
        value, y, mask = judged.value, judged.y, judged.mask
        if np.isnan(value):
            loss.check_target(batch.y, y.shape, mask, batch.numbers)
        self.report.add(value, batch.y, y, batch.weight, mask, logits, loss.link)

    def compiled(self, method: str) -> tuple[optimizers.Optimizer, losses.Loss]:
        """The optimizer and the loss.

        Raises:
            ValueError: they were not chosen yet.
        """
        if self.optimizer is None or self.loss is None:
            raise ValueError(
                f"{method} needs an optimizer and a loss: call "
                "model.compile(optimizer='adam', loss='mse') first"
            )
        return self.optimizer, self.loss

    # Where batches come from.

    def feed(
        self,
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
        fitting = partial(self._fitting, method, class_weight) if targets else self._inputs
        if not gives_batches(x):
            if batch_size is None and steps is not None and hasattr(x, "__len__"):
                batch_size = max(-(-len(x) // steps), 1)  # as Keras: all rows in so many steps
            rows = checked_batch_size(batch_size)
            data = self._arrays(rows, x, y if targets else x, weight, fitting, first)
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
            arrays = fitting(None, *unpacked(item, f"a batch for {method}"))
            return Batch(*arrays, np.arange(len(arrays[0])))

        return IteratorFeed(x, read) if not is_numbered(x) else DatasetFeed(x, read)

    def _arrays(self, rows: int, x: Any, y: Any, weight: Any, fitting: Fitting, first: int) -> Data:
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
                f"the first axes of x, y and sample_weight are {lengths}: each has as many rows as "
                "x"
            )
        # The first rows, so that what does not fit is said before anything begins.
        fitting(rows, x[:rows], y[:rows], None if weight is None else weight[:rows])
        return Data(x, y, weight, first, partial(fitting, rows))

    def batch(
        self, method: str, x: Any, y: Any, weight: Any = None, class_weight: Any = None
    ) -> Batch:
        """One batch of arrays that fit each other and the model."""
        arrays = self._fitting(method, class_weight, None, x, y, weight)
        return Batch(*arrays, np.arange(len(arrays[0])))

    def _inputs(
        self,
        batch_size: int | None,
        x: Any,
        y: Any,  # noqa: ARG002
        weight: Any,  # noqa: ARG002
    ) -> tuple[Array, Array, Array | None]:
        """x as the model reads it, alone.

        Raises:
            UnsupportedError: it is missing.
        """
        if x is None:
            raise UnsupportedError("predict needs an array, or batches, and x is None")
        x = self.prepare(x, batch_size)
        return x, x, None

    def _fitting(
        self, method: str, class_weight: Any, batch_size: int | None, x: Any, y: Any, weight: Any
    ) -> tuple[Array, Array, Array | None]:
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
        _, loss = self.compiled(method)
        x = self.prepare(x, batch_size)
        like = self.prediction_like(x, len(x))
        target, per_row = loss.fit_target(y, like.shape, like.dtype)
        if not len(x):
            raise ShapeError(f"{method} needs at least one row, and x has shape {x.shape}")
        weights = match_weight(weight, like.shape, like.dtype, per_row)
        if class_weight is not None:
            weights = class_weights(target, class_weight, like.shape, like.dtype, weights)
        return x, target, weights


NO_BATCH = (
    "there was no batch; a generator, like every iterator, is used up after the first time: give "
    "an iterable that begins anew, or one that goes on for ever and a number of steps"
)


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


def _report(plain: Any, weighted: Any) -> metrics.Report:
    return metrics.Report(
        metrics.get_all(plain, "metrics"), metrics.get_all(weighted, "weighted_metrics")
    )


def values(logs: dict[str, float]) -> Any:
    """The loss alone, or all values in a list."""
    return logs["loss"] if len(logs) == 1 else list(logs.values())
