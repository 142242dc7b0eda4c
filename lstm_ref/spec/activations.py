"""Every activation and its derivative: σ for the gates, φ for the candidate and the output.

A derivative is a function of both the pre-activation ``z`` and the result ``a = act(z)``: for most
of them the result alone says it (``tanh' = 1 - a²``), and the backward pass has both. At a kink it
takes the value that Keras takes. Some have parameters, which ONNX calls α and β; they come last.

All functions are elementwise, keep the shape and dtype of ``z`` (float32, float64, longdouble),
and let NaN and ±inf flow through. (Keras' soft_shrink, hard_shrink and threshold make a number of
NaN.)
"""

import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.errors import UnsupportedError
from lstm_ref.spec.softmax import ACROSS_UNITS

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946
"""Klambauer et al. (2017), Self-Normalizing Neural Networks, section 2."""


# tanh and the logistic sigmoid: the classical LSTM


def tanh(z: Array) -> Array:
    return np.tanh(z)


def d_tanh(z: Array, a: Array) -> Array:
    return 1 - a * a


def sigmoid(z: Array) -> Array:
    """1 / (1 + e^-z), in the two branches that never overflow."""
    e = np.exp(-np.abs(z))  # in (0, 1]
    return np.where(z >= 0, 1 / (1 + e), e / (1 + e))


def d_sigmoid(z: Array, a: Array) -> Array:
    return a * (1 - a)


# Piecewise linear


def linear(z: Array) -> Array:
    return +z


def d_linear(z: Array, a: Array) -> Array:
    return np.ones_like(z)


def relu(z: Array) -> Array:
    return np.where(z < 0, 0, z).astype(z.dtype)  # NaN stays NaN


def d_relu(z: Array, a: Array) -> Array:
    return (z > 0).astype(z.dtype)


def leaky_relu(z: Array, α: float) -> Array:
    return np.where(z > 0, z, α * z)


def d_leaky_relu(z: Array, a: Array, α: float) -> Array:
    return np.where(z > 0, 1, α).astype(z.dtype)


def thresholded_relu(z: Array, α: float) -> Array:
    return np.where(z > α, z, np.where(np.isnan(z), z, 0)).astype(z.dtype)


def d_thresholded_relu(z: Array, a: Array, α: float) -> Array:
    return (z > α).astype(z.dtype)


def affine(z: Array, α: float, β: float) -> Array:
    return α * z + β


def d_affine(z: Array, a: Array, α: float, β: float) -> Array:
    return np.full_like(z, α)


def hard_sigmoid(z: Array) -> Array:
    """relu6(z + 3) / 6: Keras 3 and PyTorch."""
    return np.clip(z + 3, 0, 6) / 6


def d_hard_sigmoid(z: Array, a: Array) -> Array:
    return np.where(np.abs(z) < 3, z.dtype.type(1) / 6, 0).astype(z.dtype)


def hard_sigmoid_keras2(z: Array, α: float, β: float) -> Array:
    """clip(0.2 z + 0.5, 0, 1): Keras 1 and 2, whose saved models need this one, and ONNX."""
    return np.clip(α * z + β, 0, 1)


def d_hard_sigmoid_keras2(z: Array, a: Array, α: float, β: float) -> Array:
    line = α * z + β
    return np.where((line >= 0) & (line <= 1), α, 0).astype(z.dtype)


def relu6(z: Array) -> Array:
    return np.minimum(relu(z), 6)


def d_relu6(z: Array, a: Array) -> Array:
    return ((z > 0) & (z < 6)).astype(z.dtype)


def hard_tanh(z: Array) -> Array:
    return np.clip(z, -1, 1)


def d_hard_tanh(z: Array, a: Array) -> Array:
    return (np.abs(z) <= 1).astype(z.dtype)


def sparse_sigmoid(z: Array) -> Array:
    """Blondel, Martins & Niculae (2019), Learning Classifiers with Fenchel-Young Losses."""
    return np.clip((z + 1) / 2, 0, 1)


def d_sparse_sigmoid(z: Array, a: Array) -> Array:
    return np.where(np.abs(z) < 1, 0.5, 0).astype(z.dtype)


def soft_shrink(z: Array, α: float) -> Array:
    """z brought nearer to 0 by α, and 0 between -α and α."""
    return np.where(z > α, z - α, np.where(z < -α, z + α, np.where(np.isnan(z), z, 0)))


def d_soft_shrink(z: Array, a: Array, α: float) -> Array:
    return ((z > α) | (z < -α)).astype(z.dtype)


def hard_shrink(z: Array, α: float) -> Array:
    """z, and 0 from -α to α."""
    return np.where(np.abs(z) <= α, 0, z).astype(z.dtype)


def d_hard_shrink(z: Array, a: Array, α: float) -> Array:
    return (np.abs(z) > α).astype(z.dtype)


def threshold(z: Array, α: float, β: float) -> Array:
    """z where it is above α, and β elsewhere."""
    return np.where(z <= α, β, z).astype(z.dtype)


def d_threshold(z: Array, a: Array, α: float, β: float) -> Array:
    return (z > α).astype(z.dtype)


# Piecewise quadratic


def hard_silu(z: Array) -> Array:
    """z·hard_sigmoid(z), also called hard_swish: Howard et al. (2019), MobileNetV3, section 5.2."""
    return z * hard_sigmoid(z)


def d_hard_silu(z: Array, a: Array) -> Array:
    return hard_sigmoid(z) + z * d_hard_sigmoid(z, a)


def sparse_plus(z: Array) -> Array:
    """The integral of sparse_sigmoid: 0 below -1, (z + 1)² / 4, and z from 1 on."""
    return np.where(z < 1, (np.clip(z, -1, 1) + 1) ** 2 / 4, z)


def d_sparse_plus(z: Array, a: Array) -> Array:
    return sparse_sigmoid(z)


# Smooth relatives


def scaled_tanh(z: Array, α: float, β: float) -> Array:
    return α * np.tanh(β * z)


def d_scaled_tanh(z: Array, a: Array, α: float, β: float) -> Array:
    t = np.tanh(β * z)
    return α * β * (1 - t * t)


def softsign(z: Array) -> Array:
    return z / (1 + np.abs(z))


def d_softsign(z: Array, a: Array) -> Array:
    return 1 / (1 + np.abs(z)) ** 2


def softplus(z: Array) -> Array:
    """ln(1 + e^z), without overflow."""
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def d_softplus(z: Array, a: Array) -> Array:
    return sigmoid(z)


def squareplus(z: Array, α: float) -> Array:
    """(z + √(z² + α)) / 2: Barron (2021), Squareplus. Where z < 0, without the cancellation."""
    total = np.sqrt(z * z + α) + np.abs(z)
    return np.where(z >= 0, total / 2, α / 2 / total)


def d_squareplus(z: Array, a: Array, α: float) -> Array:
    return a / np.sqrt(z * z + α)


def log_sigmoid(z: Array) -> Array:
    """ln(1 / (1 + e^-z))."""
    return -softplus(-z)


def d_log_sigmoid(z: Array, a: Array) -> Array:
    return sigmoid(-z)


def tanh_shrink(z: Array) -> Array:
    return z - np.tanh(z)


def d_tanh_shrink(z: Array, a: Array) -> Array:
    t = np.tanh(z)
    return t * t


def exponential(z: Array) -> Array:
    return np.exp(z)


def d_exponential(z: Array, a: Array) -> Array:
    return a


def elu(z: Array, α: float) -> Array:
    return np.where(z > 0, z, α * np.expm1(np.minimum(z, 0)))


def d_elu(z: Array, a: Array, α: float) -> Array:
    return np.where(z > 0, 1, a + α).astype(z.dtype)


def celu(z: Array, α: float) -> Array:
    """Barron (2017), Continuously Differentiable Exponential Linear Units."""
    return np.where(z > 0, z, α * np.expm1(np.minimum(z, 0) / α))


def d_celu(z: Array, a: Array, α: float) -> Array:
    """At 0, where the slope is 1, Keras gives 2: its sum of two halves counts both there."""
    low = np.exp(np.minimum(z, 0) / α)
    return np.where(z > 0, 1, np.where(z == 0, 2, low)).astype(z.dtype)


def selu(z: Array) -> Array:
    return np.where(z > 0, SELU_SCALE * z, SELU_SCALE * SELU_ALPHA * np.expm1(np.minimum(z, 0)))


def d_selu(z: Array, a: Array) -> Array:
    return np.where(z >= 0, SELU_SCALE, a + SELU_SCALE * SELU_ALPHA).astype(z.dtype)


def silu(z: Array) -> Array:
    """z·sigmoid(z), also called swish."""
    return z * sigmoid(z)


def d_silu(z: Array, a: Array) -> Array:
    s = sigmoid(z)
    return s * (1 + z * (1 - s))


def mish(z: Array) -> Array:
    """z·tanh(softplus(z)): Misra (2019), Mish.

    With e^z = p/q, tanh(ln(1 + e^z)) is (p² + 2pq) / (p² + 2pq + 2q²).
    """
    p, q = exp_as_fraction(z)
    above = p * (p + 2 * q)
    return z * (above / (above + 2 * q * q))


def d_mish(z: Array, a: Array) -> Array:
    p, q = exp_as_fraction(z)
    above = p * (p + 2 * q)
    below = above + 2 * q * q
    return above / below + z * (4 * p * q * q * (p + q) / (below * below))


def exp_as_fraction(z: Array) -> tuple[Array, Array]:
    """p and q with e^z = p/q, the larger of them 1: neither overflows."""
    e = np.exp(-np.abs(z))
    return np.where(z > 0, 1, e).astype(z.dtype), np.where(z > 0, e, 1).astype(z.dtype)


def gelu(z: Array) -> Array:
    """z·Φ(z), with Φ the standard normal distribution function: the exact form, not tanh's."""
    return z * normal_cdf(z)


def d_gelu(z: Array, a: Array) -> Array:
    pi = np.arctan(z.dtype.type(1)) * 4
    return normal_cdf(z) + z * np.exp(-z * z / 2) / np.sqrt(2 * pi)


def normal_cdf(z: Array) -> Array:
    """Φ(z) = erfc(-z/√2) / 2: keeps its relative accuracy in the left tail."""
    return erfc(-z / np.sqrt(z.dtype.type(2))) / 2


def erfc(x: Array) -> Array:
    """The complementary error function, to a few ULP of the dtype. NumPy has none.

    Two classical expansions (Abramowitz & Stegun 7.1.6 and 7.1.14): the power series, whose terms
    are all positive, where ``|x| < 1``, and Laplace's continued fraction elsewhere.
    """
    one = x.dtype.type(1)
    eps = float(np.finfo(x.dtype).eps)
    root_pi = np.sqrt(4 * np.arctan(one))
    u = np.abs(x)

    s = np.minimum(u, 1)
    term = total = s  # Σ 2ⁿ s²ⁿ⁺¹ / (1·3·…·(2n+1))
    n = 0
    while 2.0**n / math.prod(range(1, 2 * n + 2, 2)) > eps / 4:
        n += 1
        term = term * (2 * s * s) / (2 * n + 1)
        total = total + term
    near = 1 - 2 / root_pi * np.exp(-s * s) * total

    v = np.maximum(u, 1)
    depth = math.ceil((math.log(eps) / 2) ** 2 / 2)  # enough at v = 1, where it converges slowest
    fraction = v
    for n in range(depth, 0, -1):
        fraction = v + one * n / 2 / fraction
    with np.errstate(under="ignore"):
        far = np.exp(-v * v) / (root_pi * fraction)

    tail = np.where(u < 1, near, far)
    return np.where(np.isnan(x), x, np.where(x < 0, 2 - tail, tail))


@dataclass(frozen=True)
class Activation:
    """``function(z, *parameters) -> a`` and ``derivative(z, a, *parameters) -> da/dz``.

    ``parameters`` are those of a plain name, or an example where a plain name is not enough
    (``plain``), because Keras has no usual ones. ``positive``: the first must be above 0.
    """

    function: Callable[..., Array]
    derivative: Callable[..., Array]
    parameters: tuple[float, ...] = ()
    plain: bool = True
    positive: bool = False


ACTIVATIONS: dict[str, Activation] = {
    "linear": Activation(linear, d_linear),
    "tanh": Activation(tanh, d_tanh),
    "sigmoid": Activation(sigmoid, d_sigmoid),
    "relu": Activation(relu, d_relu),
    "leaky_relu": Activation(leaky_relu, d_leaky_relu, (0.2,)),
    "thresholded_relu": Activation(thresholded_relu, d_thresholded_relu, (1.0,)),
    "affine": Activation(affine, d_affine, (1.0, 0.0)),
    "hard_sigmoid": Activation(hard_sigmoid, d_hard_sigmoid),
    "hard_sigmoid_keras2": Activation(hard_sigmoid_keras2, d_hard_sigmoid_keras2, (0.2, 0.5)),
    "scaled_tanh": Activation(scaled_tanh, d_scaled_tanh, (1.0, 1.0)),
    "softsign": Activation(softsign, d_softsign),
    "softplus": Activation(softplus, d_softplus),
    "exponential": Activation(exponential, d_exponential),
    "elu": Activation(elu, d_elu, (1.0,)),
    "selu": Activation(selu, d_selu),
    "silu": Activation(silu, d_silu),
    "gelu": Activation(gelu, d_gelu),
    "relu6": Activation(relu6, d_relu6),
    "hard_tanh": Activation(hard_tanh, d_hard_tanh),
    "sparse_sigmoid": Activation(sparse_sigmoid, d_sparse_sigmoid),
    "soft_shrink": Activation(soft_shrink, d_soft_shrink, (0.5,)),
    "hard_shrink": Activation(hard_shrink, d_hard_shrink, (0.5,)),
    "threshold": Activation(threshold, d_threshold, (1.0, 0.0), plain=False),
    "hard_silu": Activation(hard_silu, d_hard_silu),
    "sparse_plus": Activation(sparse_plus, d_sparse_plus),
    "squareplus": Activation(squareplus, d_squareplus, (4.0,), positive=True),
    "log_sigmoid": Activation(log_sigmoid, d_log_sigmoid),
    "tanh_shrink": Activation(tanh_shrink, d_tanh_shrink),
    "celu": Activation(celu, d_celu, (1.0,), positive=True),
    "mish": Activation(mish, d_mish),
}
"""Every activation by its canonical name. The order is the kernels' numbering."""

ALIASES = {"swish": "silu", "hard_swish": "hard_silu"}

NOT_ELEMENTWISE = (*ACROSS_UNITS, "glu", "sparsemax")
"""Keras' activations that mix the units. The last two are not there."""

IDENTIFIER = "activation_identifier"
"""The attribute in which a function of `lstm_ref.activations` holds its activation."""

ActivationId = str | tuple[str | float, ...]
"""An activation as a config holds it: its name, or its name and parameters, ``("elu", 0.5)``."""


def activation_id(identifier: Any, across_units: bool = False) -> ActivationId:
    """The canonical form of an activation: its name, with its parameters if they are unusual.

    Args:
        identifier: a name, None for linear, as in Keras, a name and its parameters,
            ``("leaky_relu", 0.01)``, or a function of `lstm_ref.activations`.
        across_units: "softmax" and "log_softmax" will do as well (`lstm_ref.spec.softmax`).

    Raises:
        ValueError: a name that is not in ``ACTIVATIONS``, or parameters it does not take.
        UnsupportedError: another function, or an activation that is not elementwise.
    """
    identifier = getattr(identifier, IDENTIFIER, identifier)
    if identifier is None:
        return "linear"
    if callable(identifier):
        raise UnsupportedError(
            f"activation {identifier!r}: a name is needed, a name and its parameters, such as "
            "('leaky_relu', 0.01), or a function of lstm_ref.activations, not of keras; of your "
            "own function the derivative is not known here, and a file could not hold it"
        )
    whole = isinstance(identifier, tuple | list) and len(identifier) > 0
    name, *given = identifier if whole else [identifier]
    name = ALIASES.get(name, name) if isinstance(name, str) else None
    if across_units and name in ACROSS_UNITS and not given:
        return str(name)
    if name in NOT_ELEMENTWISE:
        raise UnsupportedError(
            f"activation {name!r} mixes the units, and an activation here makes one number of one "
            "number, as 'sigmoid' does: there are 'softmax' and 'log_softmax', over the last axis, "
            "as the activation of a Dense and as Activation('softmax'), behind the LSTM"
        )
    if name not in ACTIVATIONS:
        known = ", ".join(sorted([*ACTIVATIONS, *ALIASES]))
        raise ValueError(
            f"unknown activation {identifier!r}: lstm_ref takes the name of one of {known}"
        )
    act = ACTIVATIONS[name]
    if act.plain and not given:
        return name
    usual = act.parameters
    if len(given) != len(usual) or not all(isinstance(v, numbers.Real) for v in given):
        raise ValueError(
            f"activation {identifier!r}: {name} takes {len(usual) or 'no'} parameters, each "
            f"a number{', for example ' + repr((name, *usual)) if usual else ''}"
        )
    parameters = tuple(float(v) for v in given)
    if act.positive and not parameters[0] > 0:
        raise ValueError(f"activation {identifier!r}: {name} takes a number above 0")
    return name if act.plain and parameters == usual else (name, *parameters)


def formula(activation: ActivationId) -> tuple[Activation, tuple[float, ...]]:
    """The functions of an activation in canonical form, and its parameters."""
    if isinstance(activation, str):
        return ACTIVATIONS[activation], ACTIVATIONS[activation].parameters
    name, *parameters = activation
    return ACTIVATIONS[str(name)], tuple(float(v) for v in parameters)


def activate(activation: ActivationId, z: Array) -> Array:
    """a = act(z), elementwise. The activation is canonical (see ``activation_id``)."""
    act, parameters = formula(activation)
    return act.function(z, *parameters)


def activation_derivative(activation: ActivationId, z: Array, a: Array) -> Array:
    """da/dz, elementwise, given the pre-activation z and the result a = act(z)."""
    act, parameters = formula(activation)
    return act.derivative(z, a, *parameters)
