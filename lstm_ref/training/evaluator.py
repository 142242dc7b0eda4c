"""What a model does with data without learning from it: compile, evaluate, predict."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.errors import ShapeError
from lstm_ref.layers.base import Layer, refuse
from lstm_ref.layers.stack import Pass, Stack
from lstm_ref.training import bptt as strategies
from lstm_ref.training import losses, metrics, optimizers, sources
from lstm_ref.training.batches import Batch
from lstm_ref.training.callbacks import CallbackList
from lstm_ref.training.callbacks.callback_list import BatchMoment
from lstm_ref.training.feeds import Epochs
from lstm_ref.training.progress import Progress, Verbose, verbosity
from lstm_ref.training.reading import reading


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
        feed = sources.feed(self, "evaluate", x, y, sample_weight, batch_size, steps=steps)
        calls = CallbackList.of(callbacks, self, {"verbose": verbose, "epochs": 1, "steps": steps})
        logs = self.judge_all(Epochs(feed, steps), loss, verbosity(verbose), calls)
        if logs is None:
            raise ValueError(f"evaluate: {sources.NO_BATCH}")
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
        feed = sources.feed(self, "predict", x, None, None, batch_size, steps=steps, targets=False)
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
        if not parts and sources.gives_batches(x):
            raise ValueError(f"predict: {sources.NO_BATCH}")
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
                self.batch_ended(number, calls.on_test_batch_end, progress)
            if number < 0:
                return None
            logs = self.report.result()
            progress.finish(logs)
        calls.on_test_end(logs)
        return logs

    def batch_ended(self, number: int, moment: BatchMoment, progress: Progress) -> None:
        """Tell callbacks and the bar; the averages so far are made only where somebody looks."""
        if progress.shows_batches or moment.called:
            logs = self.report.result()
            moment(number, logs)
            progress.advance(logs)
        else:
            progress.advance()

    @np.errstate(over="ignore", invalid="ignore")  # what diverges shows as inf or NaN in the loss
    def judge(self, batch: Batch, loss: losses.Loss) -> None:
        """Add one batch to the report."""
        forward = self.run(batch.x, training=False, keep_cache=False, link=loss.link)
        self.add_to_report(batch, self.judged(batch, forward, loss), loss, forward.logits)

    def judged(self, batch: Batch, forward: Pass, loss: losses.Loss) -> Judged:
        """The loss of a batch that was predicted, with the penalties of regularizers."""
        judge, of, _ = reading(forward, loss)
        value = judge.value(batch.y, of, batch.weight, forward.mask)
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

    def batch(
        self, method: str, x: Any, y: Any, weight: Any = None, class_weight: Any = None
    ) -> Batch:
        """Arrays as one batch that fits the model; the arguments are those of ``fit``.

        Args:
            method: for messages.

        Raises:
            UnsupportedError, ShapeError: see `lstm_ref.training.sources.feed`.
        """
        return sources.one_batch(self, method, x, y, weight, class_weight)


def _report(plain: Any, weighted: Any) -> metrics.Report:
    return metrics.Report(
        metrics.get_all(plain, "metrics"), metrics.get_all(weighted, "weighted_metrics")
    )


def values(logs: dict[str, float]) -> Any:
    """The loss alone, or all values in a list."""
    return logs["loss"] if len(logs) == 1 else list(logs.values())
