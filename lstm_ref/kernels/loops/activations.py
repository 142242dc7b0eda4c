"""Every activation and its derivative over a stretch of a buffer: twins of ``spec.activations``.

One compiled kernel serves every activation. The choice is made once for a stretch of numbers, by
the code of the activation, its place in the specification's table. ``parameters`` holds α and β of
those that have them.
"""

import math

from lstm_ref.kernels.loops import scalar
from lstm_ref.kernels.loops.vector import Buffer, Real, Size, loop, real
from lstm_ref.spec.activations import ACTIVATIONS, SELU_ALPHA, SELU_SCALE

_CODES = {name: code for code, name in enumerate(ACTIVATIONS)}
TANH = _CODES["tanh"]
SIGMOID = _CODES["sigmoid"]
RELU = _CODES["relu"]
LEAKY_RELU = _CODES["leaky_relu"]
THRESHOLDED_RELU = _CODES["thresholded_relu"]
AFFINE = _CODES["affine"]
HARD_SIGMOID = _CODES["hard_sigmoid"]
HARD_SIGMOID_KERAS2 = _CODES["hard_sigmoid_keras2"]
SCALED_TANH = _CODES["scaled_tanh"]
SOFTSIGN = _CODES["softsign"]
SOFTPLUS = _CODES["softplus"]
EXPONENTIAL = _CODES["exponential"]
ELU = _CODES["elu"]
SELU = _CODES["selu"]
SILU = _CODES["silu"]
GELU = _CODES["gelu"]
# What remains is linear.

SELU_LOW = SELU_SCALE * SELU_ALPHA

exp, expm1, tanh, sigmoid = scalar.exp, scalar.expm1, scalar.tanh, scalar.sigmoid
log1p_unit, normal_cdf = scalar.log1p_unit, scalar.normal_cdf


@loop
def clip(x: Real, top: Real) -> Real:
    """x kept within 0 and top; NaN stays NaN."""
    low = top - top
    x = low if x < low else x
    return top if x > top else x


@loop
def activate(code: Size, parameters: Buffer, p: Buffer, count: Size) -> None:
    """p[n] = act(p[n]) for n < count."""
    alpha, beta = parameters[0], parameters[1]
    if code == TANH:
        for n in range(count):
            p[n] = tanh(p[n])
    elif code == SIGMOID:
        for n in range(count):
            p[n] = sigmoid(p[n])
    elif code == RELU:
        for n in range(count):
            p[n] = real(p[n], 0.0) if p[n] < real(p[n], 0.0) else p[n]
    elif code == LEAKY_RELU:
        for n in range(count):
            p[n] = p[n] if p[n] > real(p[n], 0.0) else p[n] * alpha
    elif code == THRESHOLDED_RELU:
        for n in range(count):
            p[n] = real(p[n], 0.0) if p[n] <= alpha else p[n]
    elif code == AFFINE:
        for n in range(count):
            p[n] = alpha * p[n] + beta
    elif code == HARD_SIGMOID:
        for n in range(count):
            p[n] = clip(p[n] + real(p[n], 3.0), real(p[n], 6.0)) / real(p[n], 6.0)
    elif code == HARD_SIGMOID_KERAS2:
        for n in range(count):
            p[n] = clip(alpha * p[n] + beta, real(p[n], 1.0))
    elif code == SCALED_TANH:
        for n in range(count):
            p[n] = alpha * tanh(beta * p[n])
    elif code == SOFTSIGN:
        for n in range(count):
            p[n] = p[n] / (real(p[n], 1.0) + abs(p[n]))
    elif code == SOFTPLUS:
        for n in range(count):
            positive = real(p[n], 0.0) if p[n] < real(p[n], 0.0) else p[n]
            p[n] = positive + log1p_unit(exp(-abs(p[n])))
    elif code == EXPONENTIAL:
        for n in range(count):
            p[n] = exp(p[n])
    elif code == ELU:
        for n in range(count):
            p[n] = p[n] if p[n] > real(p[n], 0.0) else alpha * expm1(p[n])
    elif code == SELU:
        for n in range(count):
            low = real(p[n], SELU_LOW) * expm1(p[n])
            p[n] = real(p[n], SELU_SCALE) * p[n] if p[n] > real(p[n], 0.0) else low
    elif code == SILU:
        for n in range(count):
            p[n] = p[n] * sigmoid(p[n])
    elif code == GELU:
        for n in range(count):
            p[n] = p[n] * normal_cdf(p[n])


@loop
def scale_by_derivative(
    code: Size, parameters: Buffer, d: Buffer, z: Buffer, a: Buffer, count: Size
) -> None:
    """d[n] *= act'(z[n]) for n < count, given a = act(z)."""
    alpha, beta = parameters[0], parameters[1]
    if code == TANH:
        for n in range(count):
            d[n] *= real(a[n], 1.0) - a[n] * a[n]
    elif code == SIGMOID:
        for n in range(count):
            d[n] *= a[n] * (real(a[n], 1.0) - a[n])
    elif code == RELU:
        for n in range(count):
            d[n] *= real(z[n], 1.0) if z[n] > real(z[n], 0.0) else real(z[n], 0.0)
    elif code == LEAKY_RELU:
        for n in range(count):
            d[n] *= real(z[n], 1.0) if z[n] > real(z[n], 0.0) else alpha
    elif code == THRESHOLDED_RELU:
        for n in range(count):
            d[n] *= real(z[n], 1.0) if z[n] > alpha else real(z[n], 0.0)
    elif code == AFFINE:
        for n in range(count):
            d[n] *= alpha
    elif code == HARD_SIGMOID:
        for n in range(count):
            inside = abs(z[n]) < real(z[n], 3.0)
            d[n] *= real(z[n], 1.0) / real(z[n], 6.0) if inside else real(z[n], 0.0)
    elif code == HARD_SIGMOID_KERAS2:
        for n in range(count):
            line = alpha * z[n] + beta
            inside = line >= real(z[n], 0.0) and line <= real(z[n], 1.0)
            d[n] *= alpha if inside else real(z[n], 0.0)
    elif code == SCALED_TANH:
        for n in range(count):
            t = tanh(beta * z[n])
            d[n] *= alpha * beta * (real(z[n], 1.0) - t * t)
    elif code == SOFTSIGN:
        for n in range(count):
            width = real(z[n], 1.0) + abs(z[n])
            d[n] *= real(z[n], 1.0) / (width * width)
    elif code == SOFTPLUS:
        for n in range(count):
            d[n] *= sigmoid(z[n])
    elif code == EXPONENTIAL:
        for n in range(count):
            d[n] *= a[n]
    elif code == ELU:
        for n in range(count):
            one = real(z[n], 1.0)
            d[n] *= one if z[n] > real(z[n], 0.0) else a[n] + alpha
    elif code == SELU:
        for n in range(count):
            low = a[n] + real(z[n], SELU_LOW)
            d[n] *= real(z[n], SELU_SCALE) if z[n] >= real(z[n], 0.0) else low
    elif code == SILU:
        for n in range(count):
            s = sigmoid(z[n])
            d[n] *= s * (real(z[n], 1.0) + z[n] * (real(z[n], 1.0) - s))
    elif code == GELU:
        for n in range(count):
            density = exp(real(z[n], -0.5) * z[n] * z[n]) * real(z[n], 1 / math.sqrt(2 * math.pi))
            d[n] *= normal_cdf(z[n]) + z[n] * density
