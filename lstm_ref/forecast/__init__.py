"""Forecasting columns of a table, at every row: what the command line does, as functions.

recipe      how rows become what the model reads, and its output a forecast; travels with the model
training    a table to windows, a model, and its epochs
prediction  a forecast for every row of a table
score       how good it is, beside two forecasts that need no model
"""

from lstm_ref.forecast.prediction import forecast
from lstm_ref.forecast.recipe import Recipe
from lstm_ref.forecast.score import Score, score
from lstm_ref.forecast.training import TrainingData, build_model, train, training_data

__all__ = [
    "Recipe",
    "Score",
    "TrainingData",
    "build_model",
    "forecast",
    "score",
    "train",
    "training_data",
]
