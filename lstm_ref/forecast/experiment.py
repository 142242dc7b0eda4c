"""Train on the first rows of a table, judge on the last ones, which the model has not seen."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from lstm_ref.conventions import Array
from lstm_ref.forecast.prediction import forecast
from lstm_ref.forecast.recipe import Recipe
from lstm_ref.forecast.score import Score, forecasts_by_row, score
from lstm_ref.forecast.training import TrainingData, build_model, train, training_data
from lstm_ref.model import Sequential
from lstm_ref.sequences import Table


@dataclass(frozen=True)
class Settings:
    """How a forecasting model is made and trained."""

    window: int = 24
    units: int = 64
    activation: str = "tanh"
    optimizer: str = "adam"
    learning_rate: float | None = None
    batch_size: int = 32
    epochs: int = 30
    masking: bool = True
    seed: int = 0


@dataclass(frozen=True)
class Plan:
    """A new model and what it is to learn from."""

    table: Table
    first: int
    """The first row that is held out."""
    settings: Settings
    recipe: Recipe
    data: TrainingData
    model: Sequential


@dataclass(frozen=True)
class Experiment:
    """A plan carried out: its model is trained now."""

    plan: Plan
    losses: list[float]
    """Of each epoch."""
    of_row: dict[str, Array]
    """The forecasts of each row, [N,K] by name: see `forecasts_by_row`."""
    scores: list[Score]
    """One for each target, on the rows held out; empty when none was."""


Watch = Callable[[Iterator[float]], Iterable[float]]
"""Passes on the losses of the epochs, and shows them on the way."""


def plan_experiment(
    table: Table,
    features: Sequence[str],
    targets: Sequence[str],
    settings: Settings,
    *,
    first: int,
    horizon: int = 1,
) -> Plan:
    """Make the windows of the rows before ``first``, and a model for them.

    Args:
        features, targets: columns of the table, read and predicted.
        horizon: rows ahead.

    Raises:
        ValueError: a column that is not there, settings that are not possible.
        ShapeError: too few rows for one window.
    """
    recipe = Recipe.fit(table, features, targets, settings.window, horizon, first)
    data = training_data(recipe, table, first)
    model = build_model(
        recipe,
        units=settings.units,
        activation=settings.activation,
        optimizer=settings.optimizer,
        learning_rate=settings.learning_rate,
        masking=settings.masking,
        seed=settings.seed,
    )
    return Plan(table, first, settings, recipe, data, model)


def run_experiment(plan: Plan, *, period: int | None = None, watch: Watch = iter) -> Experiment:
    """Train the model of a plan, forecast every row, and score those that were held out.

    Args:
        period: rows of a season for the second baseline, 24 for hours of a day; None for none.

    Raises:
        ValueError: the training diverged.
    """
    settings = plan.settings
    epochs = train(plan.model, plan.data, epochs=settings.epochs, batch_size=settings.batch_size)
    losses = list(watch(epochs))
    forecasts = forecast(plan.model, plan.recipe, plan.table)
    of_row = forecasts_by_row(plan.recipe, plan.table, forecasts, period)
    held_out = plan.first < len(plan.table)
    scores = score(plan.recipe, plan.table, forecasts, plan.first, period) if held_out else []
    return Experiment(plan, losses, of_row, scores)
