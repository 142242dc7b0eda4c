"""What the demo does: two models, planned, trained, judged and checked."""

import time
from dataclasses import dataclass

from lstm_ref.forecast import (
    Experiment,
    Plan,
    Settings,
    Watch,
    plan_experiment,
    run_experiment,
)
from lstm_ref.sequences import Table, weather_table
from lstm_ref.verify import GradientCheck, gradcheck

DAY = 24
HELD_OUT = 28 * DAY

CALENDAR = ("month", "day", "hour_of_day")
MEASUREMENTS = {"temperature_c": "°C", "humidity_pct": "%", "pressure_mbar": "mbar"}
"""The columns that are read and predicted, and their units."""


@dataclass(frozen=True)
class Task:
    """One of the two models. Its settings were chosen on the four weeks before those held out."""

    name: str
    title: str
    columns: tuple[str, ...]
    settings: Settings


TASKS = (
    Task(
        name="one_value",
        title="One value an hour: from the temperature, the temperature an hour later",
        columns=("temperature_c",),
        settings=Settings(
            window=DAY,
            units=64,
            activation="relu",
            optimizer="adam",
            learning_rate=2e-3,
            batch_size=32,
            epochs=60,
            masking=False,
        ),
    ),
    Task(
        name="several_values",
        title="Several values an hour: from temperature, humidity and pressure, the next of each",
        columns=tuple(MEASUREMENTS),
        settings=Settings(
            window=2 * DAY,
            units=128,
            activation="tanh",
            optimizer="rmsprop",
            learning_rate=5e-4,
            batch_size=16,
            epochs=80,
            masking=False,
        ),
    ),
)


@dataclass(frozen=True)
class Outcome:
    """What became of a task."""

    task: Task
    experiment: Experiment
    seconds: float
    """Of training, compiling included."""

    @property
    def beats_baselines(self) -> bool:
        """For every target."""
        return all(score.beats_baselines for score in self.experiment.scores)


def demo_table() -> Table:
    """The year of weather, with its calendar."""
    return weather_table((*MEASUREMENTS, *CALENDAR))


def plan(task: Task, table: Table) -> Plan:
    """The windows and the model of a task."""
    columns, first = task.columns, len(table) - HELD_OUT
    return plan_experiment(table, columns, columns, task.settings, first=first)


def perform(task: Task, prepared: Plan, watch: Watch) -> Outcome:
    """Train and judge a model."""
    started = time.perf_counter()
    experiment = run_experiment(prepared, period=DAY, watch=watch)
    return Outcome(task, experiment, time.perf_counter() - started)


def check_gradient(outcome: Outcome) -> GradientCheck:
    """The gradient of a trained model, on two of its windows."""
    x, y, _ = outcome.experiment.plan.data
    return gradcheck(outcome.experiment.plan.model, x[:2], y[:2])
