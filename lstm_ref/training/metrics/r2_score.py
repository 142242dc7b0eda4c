"""R², the coefficient of determination: how much of the targets' variance is predicted."""

import warnings
from typing import Any

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.errors import ShapeError
from lstm_ref.training.losses.base import chosen
from lstm_ref.training.losses.measure import in_silence
from lstm_ref.training.metrics.base import Metric
from lstm_ref.training.numbers import whole

AGGREGATIONS = (None, "uniform_average", "variance_weighted_average")


class R2Score(Metric):
    """1 - Σ w·(t - y)² / Σ w·(t - mean t)², the sums going over everything seen.

    It is 1 for a perfect prediction and 0 for one that is always the mean of the targets. Each
    output has its own; with a sequence at a time, every step is one observation. (Keras' takes no
    sequences, and does not see masks.)

    Args:
        class_aggregation: how one number is made of K: "uniform_average", their mean;
            "variance_weighted_average", weighted by the variance of their targets; None, all K, for
            a call alone.
        num_regressors: of what is predicted from, for the adjusted R²; 0 for the plain one. As in
            Keras, the observations are counted once for each output.
        name: for reports.

    Where all targets of an output are alike, its R² is 0, or NaN if they are also met exactly: both
    as in Keras.
    """

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: Any = None,
    ) -> None:
        if class_aggregation not in AGGREGATIONS:
            raise ValueError(
                f"R2Score(class_aggregation={class_aggregation!r}): one of "
                f"{', '.join(map(repr, AGGREGATIONS))} is needed"
            )
        need = "a whole number is needed, 0 or more"
        self.num_regressors = whole(num_regressors, self, "num_regressors", 0, need)
        self.class_aggregation = class_aggregation
        super().__init__(name or "r2_score", dtype)

    def reset_state(self) -> None:
        """Forget everything."""
        self._sums = np.zeros((4, 0))  # of w·t, w·t², w·(t - y)² and w, for each output
        self._observations = 0

    def add(
        self,
        y_true: Array,
        y_pred: Array,
        weight: Array | None,
        mask: Array | None,
        logits: Array | None = None,  # noqa: ARG002
    ) -> None:
        """See `Metric.add`.

        Raises:
            ShapeError: labels, no axis of outputs, or another number of them than before.
        """
        if y_pred.ndim < 2:
            raise ShapeError(
                f"R2Score got predictions of shape {y_pred.shape}, and (..., outputs) is needed: "
                "for one output use y[:, None]"
            )
        y_true, _ = self.fit_target(y_true, y_pred.shape, y_pred.dtype)
        if weight is None:
            weight = np.ones(y_pred.shape[:-1])
        t, y, w = chosen(mask, y_true, y_pred, weight)
        assert w is not None
        K = y_pred.shape[-1]
        t, y = (array.reshape(-1, K).astype(np.float64) for array in (t, y))
        w = w.reshape(-1, 1).astype(np.float64)
        if not self._sums.size:
            self._sums = np.zeros((4, K))
        if self._sums.shape[1] != K:
            raise ShapeError(
                f"R2Score has seen {self._sums.shape[1]} outputs, and {K} came: reset_state() "
                "begins anew"
            )
        new = (w * t, w * t * t, w * (t - y) ** 2, w * np.ones(K))
        self._sums = self._sums + [term.sum(axis=0) for term in new]
        self._observations += t.size

    @in_silence()
    def result(self) -> Any:
        """R² so far: a number, or an array [K] without aggregation; 0 before the first batch."""
        if not self._sums.size:
            return 0.0
        of_t, squared, residual, count = self._sums
        variance = squared - of_t * (of_t / count)
        each = 1 - residual / variance
        score: Any = np.where(np.isinf(each), 0.0, each)  # [K]
        if self.class_aggregation == "uniform_average":
            score = np.mean(score)
        elif self.class_aggregation == "variance_weighted_average":
            score = np.sum(variance * score) / np.sum(variance)
        score = self._adjusted(score)
        return score if self.class_aggregation is None else float(score)

    def _adjusted(self, score: Any) -> Any:
        """1 - (1 - R²)(n - 1) / (n - p - 1), for n observations and p regressors."""
        n, p = self._observations, self.num_regressors
        if p == 0:
            return score
        if p >= n - 1:
            warnings.warn(
                f"R2Score(num_regressors={p}) has seen {n} observations, which are too few to "
                "adjust for: the plain R² is given",
                stacklevel=3,
            )
            return score
        return 1 - (1 - score) * (n - 1) / (n - p - 1)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, JSON-able."""
        return {
            **super().get_config(),
            "class_aggregation": self.class_aggregation,
            "num_regressors": self.num_regressors,
        }
