"""What an epoch reports: the loss and the metrics, accumulated over its batches.

Each metric goes its own way (`Metric`). The loss is averaged over batches by their number of rows:
Σ n·loss / Σ n. So a metric "mse" and the loss "mse" differ when the batches hold different numbers
of real steps. Both rules are Keras'.
"""

from collections.abc import Sequence

from lstm_ref.conventions import Array
from lstm_ref.training.metrics.base import Metric


class Report:
    """The loss and the metrics of one epoch, or since the last `reset`.

    Args:
        metrics: see the mask but not the sample weights, as in Keras.
        weighted_metrics: see both.
    """

    def __init__(self, metrics: Sequence[Metric], weighted_metrics: Sequence[Metric]) -> None:
        self.metrics, self.weighted_metrics = list(metrics), list(weighted_metrics)
        self.names = _unique_names(self.metrics, self.weighted_metrics)
        self.reset()

    def reset(self) -> None:
        """Begin a new epoch."""
        self._loss, self._rows = 0.0, 0
        for metric in (*self.metrics, *self.weighted_metrics):
            metric.reset_state()

    @property
    def links(self) -> set[str]:
        """The activations behind which some metric reads the logits."""
        every = (metric.link for metric in (*self.metrics, *self.weighted_metrics))
        return {link for link in every if link is not None}

    def add(
        self,
        loss: float,
        y_true: Array,
        y_pred: Array,
        weight: Array | None,
        mask: Array | None,
        logits: Array | None = None,
        link: str | None = None,
    ) -> None:
        """One batch more.

        Args:
            loss: of the batch.
            y_true, y_pred, weight, mask: see `Metric.add`.
            logits: what the last activation was applied to, if that is known.
            link: the name of that activation; needed with ``logits``.
        """
        rows = y_pred.shape[0]
        self._loss += loss * rows
        self._rows += rows
        weighted = [(metric, weight) for metric in self.weighted_metrics]
        for metric, w in (*((metric, None) for metric in self.metrics), *weighted):
            reads = logits is not None and metric.link == link
            metric.add(y_true, y_pred, w, mask, *((logits,) if reads else ()))

    def result(self) -> dict[str, float]:
        """``{"loss": ..., "mae": ...}`` so far."""
        means = [metric.result() for metric in (*self.metrics, *self.weighted_metrics)]
        loss = self._loss / self._rows if self._rows else 0.0
        return {"loss": loss, **dict(zip(self.names, means, strict=True))}


def _unique_names(metrics: Sequence[Metric], weighted: Sequence[Metric]) -> list[str]:
    """The names reported: a second "mse" is "mse_1", or "weighted_mse" among the weighted ones."""
    names: list[str] = []
    for prefix, group in (("", metrics), ("weighted_", weighted)):
        for metric in group:
            name = metric.name if metric.name not in names else prefix + metric.name
            count, unique = 1, name
            while unique in names:
                unique = f"{name}_{count}"
                count += 1
            names.append(unique)
    return names
