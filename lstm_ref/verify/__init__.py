"""Proofs that a model computes what it says, and a look at how it learns.

gradcheck      the model's own gradient against finite differences, entry by entry
differences    the slope of a function from its values, and what kinks and rounding do to it
gradient_flow  how far the gradient travels back through each LSTM
in_float64     a model's twin with digits to spare
"""

from lstm_ref.verify.gradcheck import GradientCheck, TensorCheck, gradcheck, gradcheck_function
from lstm_ref.verify.gradient_flow import GradientFlow, gradient_flow

__all__ = [
    "GradientCheck",
    "GradientFlow",
    "TensorCheck",
    "gradcheck",
    "gradcheck_function",
    "gradient_flow",
]
