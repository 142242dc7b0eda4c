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
RELU6 = _CODES["relu6"]
HARD_TANH = _CODES["hard_tanh"]
SPARSE_SIGMOID = _CODES["sparse_sigmoid"]
SOFT_SHRINK = _CODES["soft_shrink"]
HARD_SHRINK = _CODES["hard_shrink"]
THRESHOLD = _CODES["threshold"]
HARD_SILU = _CODES["hard_silu"]
SPARSE_PLUS = _CODES["sparse_plus"]
SQUAREPLUS = _CODES["squareplus"]
LOG_SIGMOID = _CODES["log_sigmoid"]
TANH_SHRINK = _CODES["tanh_shrink"]
CELU = _CODES["celu"]
MISH = _CODES["mish"]
# What remains is linear.

SELU_LOW = SELU_SCALE * SELU_ALPHA

exp, expm1, tanh, sigmoid = scalar.exp, scalar.expm1, scalar.tanh, scalar.sigmoid
exp_negative, log1p_unit = scalar.exp_negative, scalar.log1p_unit
normal_cdf, sqrt = scalar.normal_cdf, scalar.sqrt


@loop
def clip(x: Real, low: Real, top: Real) -> Real:
    """x kept within low and top; NaN stays NaN."""
    x = low if x < low else x
    return top if x > top else x


@loop
def hard_sigmoid(x: Real) -> Real:
    """relu6(x + 3) / 6."""
    return clip(x + real(x, 3.0), real(x, 0.0), real(x, 6.0)) / real(x, 6.0)


@loop
def d_hard_sigmoid(x: Real) -> Real:
    """1/6 within -3 and 3, and 0 elsewhere."""
    return real(x, 1.0) / real(x, 6.0) if abs(x) < real(x, 3.0) else real(x, 0.0)


@loop
def sparse_sigmoid(x: Real) -> Real:
    """(x + 1) / 2 kept within 0 and 1: the derivative of sparse_plus, too."""
    return clip((x + real(x, 1.0)) * real(x, 0.5), real(x, 0.0), real(x, 1.0))


@loop
def softplus(x: Real) -> Real:
    """ln(1 + e^x)."""
    positive = real(x, 0.0) if x < real(x, 0.0) else x
    return positive + log1p_unit(exp(-abs(x)))


@loop
def exp_as_fraction(x: Real) -> tuple[Real, Real]:
    """p and q with e^x = p/q, the larger of them 1."""
    one, e = real(x, 1.0), exp_negative(-abs(x))
    above = x > real(x, 0.0)
    return one if above else e, e if above else one


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
            p[n] = hard_sigmoid(p[n])
    elif code == HARD_SIGMOID_KERAS2:
        for n in range(count):
            p[n] = clip(alpha * p[n] + beta, real(p[n], 0.0), real(p[n], 1.0))
    elif code == SCALED_TANH:
        for n in range(count):
            p[n] = alpha * tanh(beta * p[n])
    elif code == SOFTSIGN:
        for n in range(count):
            p[n] = p[n] / (real(p[n], 1.0) + abs(p[n]))
    elif code == SOFTPLUS:
        for n in range(count):
            p[n] = softplus(p[n])
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
    elif code == RELU6:
        for n in range(count):
            p[n] = clip(p[n], real(p[n], 0.0), real(p[n], 6.0))
    elif code == HARD_TANH:
        for n in range(count):
            p[n] = clip(p[n], real(p[n], -1.0), real(p[n], 1.0))
    elif code == SPARSE_SIGMOID:
        for n in range(count):
            p[n] = sparse_sigmoid(p[n])
    elif code == SOFT_SHRINK:
        for n in range(count):
            low = p[n] + alpha if p[n] < -alpha else p[n] - p[n]  # 0, or NaN
            p[n] = p[n] - alpha if p[n] > alpha else low
    elif code == HARD_SHRINK:
        for n in range(count):
            p[n] = real(p[n], 0.0) if abs(p[n]) <= alpha else p[n]
    elif code == THRESHOLD:
        for n in range(count):
            p[n] = beta if p[n] <= alpha else p[n]
    elif code == HARD_SILU:
        for n in range(count):
            p[n] = p[n] * hard_sigmoid(p[n])
    elif code == SPARSE_PLUS:
        for n in range(count):
            one = real(p[n], 1.0)
            root = clip(p[n], -one, one) + one
            p[n] = root * root * real(p[n], 0.25) if p[n] < one else p[n]
    elif code == SQUAREPLUS:
        for n in range(count):
            half = real(p[n], 0.5)
            total = sqrt(p[n] * p[n] + alpha) + abs(p[n])
            p[n] = half * total if p[n] >= real(p[n], 0.0) else half * alpha / total
    elif code == LOG_SIGMOID:
        for n in range(count):
            p[n] = -softplus(-p[n])
    elif code == TANH_SHRINK:
        for n in range(count):
            p[n] = p[n] - tanh(p[n])
    elif code == CELU:
        for n in range(count):
            p[n] = p[n] if p[n] > real(p[n], 0.0) else alpha * expm1(p[n] / alpha)
    elif code == MISH:
        for n in range(count):
            two = real(p[n], 2.0)
            up, down = exp_as_fraction(p[n])
            above = up * (up + two * down)
            p[n] = p[n] * (above / (above + two * down * down))


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
    elif code == RELU:  # a is above 0 where z is, and NaN where z is
        for n in range(count):
            d[n] *= real(a[n], 1.0) if a[n] > real(a[n], 0.0) else real(a[n], 0.0)
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
            d[n] *= d_hard_sigmoid(z[n])
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
    elif code == RELU6:
        for n in range(count):
            inside = z[n] > real(z[n], 0.0) and z[n] < real(z[n], 6.0)
            d[n] *= real(z[n], 1.0) if inside else real(z[n], 0.0)
    elif code == HARD_TANH:
        for n in range(count):
            d[n] *= real(z[n], 1.0) if abs(z[n]) <= real(z[n], 1.0) else real(z[n], 0.0)
    elif code == SPARSE_SIGMOID:
        for n in range(count):
            d[n] *= real(z[n], 0.5) if abs(z[n]) < real(z[n], 1.0) else real(z[n], 0.0)
    elif code == SOFT_SHRINK:
        for n in range(count):
            outside = z[n] > alpha or z[n] < -alpha
            d[n] *= real(z[n], 1.0) if outside else real(z[n], 0.0)
    elif code == HARD_SHRINK:
        for n in range(count):
            d[n] *= real(z[n], 1.0) if abs(z[n]) > alpha else real(z[n], 0.0)
    elif code == THRESHOLD:
        for n in range(count):
            d[n] *= real(z[n], 1.0) if z[n] > alpha else real(z[n], 0.0)
    elif code == HARD_SILU:
        for n in range(count):
            d[n] *= hard_sigmoid(z[n]) + z[n] * d_hard_sigmoid(z[n])
    elif code == SPARSE_PLUS:
        for n in range(count):
            d[n] *= sparse_sigmoid(z[n])
    elif code == SQUAREPLUS:
        for n in range(count):
            d[n] *= a[n] / sqrt(z[n] * z[n] + alpha)
    elif code == LOG_SIGMOID:
        for n in range(count):
            d[n] *= sigmoid(-z[n])
    elif code == TANH_SHRINK:
        for n in range(count):
            t = tanh(z[n])
            d[n] *= t * t
    elif code == CELU:
        for n in range(count):
            low = real(z[n], 2.0) if z[n] == real(z[n], 0.0) else exp(z[n] / alpha)
            d[n] *= real(z[n], 1.0) if z[n] > real(z[n], 0.0) else low
    elif code == MISH:
        for n in range(count):
            two = real(z[n], 2.0)
            up, down = exp_as_fraction(z[n])
            above = up * (up + two * down)
            below = above + two * down * down
            bend = two * two * up * down * down * (up + down) / (below * below)
            d[n] *= above / below + z[n] * bend
