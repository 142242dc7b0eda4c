"""What a model does with data without learning from it: compile, evaluate, predict."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.errors import ShapeError, UnsupportedError
from lstm_ref.layers.base import refuse
from lstm_ref.layers.stack import Pass
from lstm_ref.training import losses, metrics, optimizers
from lstm_ref.training.batches import Batch, Data, checked_batch_size, steps_for
from lstm_ref.training.progress import Progress, Verbose, verbosity
from lstm_ref.training.targets import check_counted, match_target, match_weight


class Evaluator:
    """The judging half of a model. `Trainer` adds learning, `Sequential` the layers."""

    def __init__(self) -> None:
        self.optimizer: optimizers.Optimizer | None = None
        self.loss: losses.Loss | None = None
        self.report = metrics.Report([], [])

    # What a model provides.

    def prepare(self, x: Any, batch_size: int | None) -> Array:
        """``x`` as the array the first layer reads; builds a model that is not built.

        ``batch_size`` is the number of rows a batch will have, None for all of them.
        """
        raise NotImplementedError

    def prediction_like(self, x: Array, rows: int) -> Array:
        """An array of the shape and dtype of the prediction for ``rows`` rows like x's."""
        raise NotImplementedError

    def run(self, x: Array, training: bool, keep_cache: bool) -> Pass:
        """The prediction for one batch, and what comes with it."""
        raise NotImplementedError

    def weight_penalty(self) -> float:
        """What the regularizers of the weights add to the loss."""
        raise NotImplementedError

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
    ) -> None:
        """Choose how the model is trained and judged.

        Args:
            optimizer: "sgd", "adam", "rmsprop", or an object with settings of its own.
            loss: "mse", "mae", or an object.
            metrics: names or objects, reported beside the loss; masks count, sample weights not.
            weighted_metrics: the same, with sample weights too.
            loss_weights: refused.
            run_eagerly, steps_per_execution, jit_compile, auto_scale_loss: how Keras computes;
                accepted, without effect on values.

        Raises:
            UnsupportedError: naming what is not supported.
        """
        refuse("compile", {"loss_weights": loss_weights})
        self.optimizer = optimizers.get(optimizer)
        self.loss = None if loss is None else losses.get(loss)
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

        Returns:
            The loss alone, or [loss, metric, ...] where there are metrics, or with `return_dict`
            ``{"loss": ..., "mae": ...}``.
        """
        refuse("evaluate", {"steps": steps, "callbacks": callbacks})
        _, loss = self.compiled("evaluate")
        rows = checked_batch_size(batch_size)
        data = self.data("evaluate", x, y, sample_weight, rows)
        logs = self.judge_all(data, loss, rows, verbosity(verbose))
        return logs if return_dict else values(logs)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Verbose = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Array:
        """The predictions for x, [N,T,K] or [N,K], computed ``batch_size`` rows at a time."""
        refuse("predict", {"steps": steps, "callbacks": callbacks})
        rows = checked_batch_size(batch_size)
        x = self.prepare(x, rows)
        predictions = self.prediction_like(x, len(x))
        with Progress(steps_for(len(x), rows), verbosity(verbose)) as progress:
            for start in range(0, len(x), rows):
                part = slice(start, start + rows)
                predictions[part] = self.run(x[part], training=False, keep_cache=False).y
                progress.advance()
        return predictions

    def predict_on_batch(self, x: Any) -> Array:
        """The predictions for x as one batch."""
        return self.run(self.prepare(x, None), training=False, keep_cache=False).y

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Loss and metrics of all of x as one batch; the arguments are those of `evaluate`."""
        _, loss = self.compiled("test_on_batch")
        data = self.data("test_on_batch", x, y, sample_weight)
        self.report.reset()
        self.judge(data.whole(), loss)
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
        self, data: Data, loss: losses.Loss, batch_size: int, verbose: int
    ) -> dict[str, float]:
        """The loss and metrics over all rows."""
        self.report.reset()
        with Progress(steps_for(data.rows, batch_size), verbose) as progress:
            for batch in data.batches(batch_size):
                self.judge(batch, loss)
                progress.advance(self.report.result())
            logs = self.report.result()
            progress.finish(logs)
        return logs

    @np.errstate(over="ignore", invalid="ignore")  # what diverges shows as inf or NaN in the loss
    def judge(self, batch: Batch, loss: losses.Loss) -> None:
        """Add one batch to the report."""
        self.add_to_report(batch, self.run(batch.x, training=False, keep_cache=False), loss)

    def add_to_report(self, batch: Batch, forward: Pass, loss: losses.Loss) -> None:
        """Add a batch that is already predicted to the report.

        Raises:
            ValueError: the loss is NaN because a target that counts is.
        """
        value = self.total_loss(batch, forward, loss)
        if np.isnan(value):
            check_counted(batch.y, forward.mask, batch.numbers)
        self.report.add(value, batch.y, forward.y, batch.weight, forward.mask)

    def total_loss(self, batch: Batch, forward: Pass, loss: losses.Loss) -> float:
        """The loss of a batch, with the penalties of regularizers."""
        value = loss.value(batch.y, forward.y, batch.weight, forward.mask)
        return value + self.weight_penalty() + forward.penalty

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

    def data(self, method: str, x: Any, y: Any, weight: Any, batch_size: int | None = None) -> Data:
        """x, y and the sample weights as arrays that fit each other and the model.

        Raises:
            UnsupportedError: a generator or data set instead of arrays, or no targets.
            ShapeError: they do not fit.
        """
        if x is None or y is None:
            raise UnsupportedError(
                f"{method} needs arrays for both the inputs x and the targets y, and "
                f"{'x' if x is None else 'y'} is missing (generators and data sets are not "
                "supported)"
            )
        x = self.prepare(x, batch_size)
        like = self.prediction_like(x, len(x))
        target, per_row = match_target(y, like.shape, like.dtype)
        if not len(x):
            raise ShapeError(f"{method} needs at least one row, and x has shape {x.shape}")
        return Data(x, target, match_weight(weight, like.shape, like.dtype, per_row))


def _report(plain: Any, weighted: Any) -> metrics.Report:
    return metrics.Report(
        metrics.get_all(plain, "metrics"), metrics.get_all(weighted, "weighted_metrics")
    )


def values(logs: dict[str, float]) -> Any:
    """The loss alone, or all values in a list."""
    return logs["loss"] if len(logs) == 1 else list(logs.values())
