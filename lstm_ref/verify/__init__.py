"""Proofs that a model computes what it says.

gradcheck     the model's own gradient against finite differences, entry by entry
differences   the slope of a function from its values, and what kinks and rounding do to it
"""

from lstm_ref.verify.gradcheck import GradientCheck, TensorCheck, gradcheck, gradcheck_function

__all__ = ["GradientCheck", "TensorCheck", "gradcheck", "gradcheck_function"]
