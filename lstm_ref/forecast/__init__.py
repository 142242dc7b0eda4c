"""Forecasting columns of a table, at every row: what the command line does, as functions.

recipe      how rows become what the model reads, and its output a forecast; travels with the model
training    a table to windows, a model, and its epochs
prediction  a forecast for every row of a table
score       how good it is, beside two forecasts that need no model
experiment  all of it: train on the first rows, judge on the last
"""

from lstm_ref.forecast.experiment import (
    Experiment,
    Plan,
    Settings,
    Watch,
    plan_experiment,
    run_experiment,
)
from lstm_ref.forecast.prediction import forecast
from lstm_ref.forecast.recipe import Recipe
from lstm_ref.forecast.score import Score, score
from lstm_ref.forecast.training import TrainingData, build_model, train, training_data

__all__ = [
    "Experiment",
    "Plan",
    "Recipe",
    "Score",
    "Settings",
    "TrainingData",
    "Watch",
    "build_model",
    "forecast",
    "plan_experiment",
    "run_experiment",
    "score",
    "train",
    "training_data",
]
