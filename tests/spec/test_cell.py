"""One step of the cell against a version that shares nothing with it: scalars and `math`."""

import math

import numpy as np

from lstm_ref.spec.cell import cell_backward, cell_forward
from lstm_ref.spec.parameters import LSTMConfig
from tests.cases import random_params


def scalar_cell(x, h, c, params):  # type: ignore[no-untyped-def]
    """The textbook's sums, one unit at a time."""
    W, U, b = params.kernel, params.recurrent_kernel, params.bias
    D, H = len(x), len(h)

    def z(gate: int, unit: int) -> float:
        column = gate * H + unit
        return (
            sum(x[d] * W[d, column] for d in range(D))
            + sum(h[u] * U[u, column] for u in range(H))
            + b[column]
        )

    def sigmoid(v: float) -> float:
        return 1 / (1 + math.exp(-v))

    h_new, c_new = [], []
    for unit in range(H):
        i, f = sigmoid(z(0, unit)), sigmoid(z(1, unit))
        g, o = math.tanh(z(2, unit)), sigmoid(z(3, unit))
        c_new.append(f * c[unit] + i * g)
        h_new.append(o * math.tanh(c_new[-1]))
    return h_new, c_new


def test_a_step_is_the_textbooks(rng: np.random.Generator) -> None:
    B, D, H = 3, 4, 5
    params = random_params(D, H, "float64", rng)
    x, h, c = rng.normal(size=(B, D)), rng.normal(size=(B, H)), rng.normal(size=(B, H))
    h_new, c_new, _, _ = cell_forward(x, h, c, params, LSTMConfig())
    for row in range(B):
        expected_h, expected_c = scalar_cell(x[row], h[row], c[row], params)
        np.testing.assert_allclose(h_new[row], expected_h, rtol=0, atol=4e-16)
        np.testing.assert_allclose(c_new[row], expected_c, rtol=0, atol=2e-15)


def test_a_step_back_is_the_slope_of_a_step(rng: np.random.Generator) -> None:
    """Differences of every entry of h_{t-1}, c_{t-1} and, through z, of the bias."""
    D, H, step = 2, 3, 1e-6
    params = random_params(D, H, "float64", rng)
    config = LSTMConfig(activation="softsign")
    x, h, c = rng.normal(size=(1, D)), rng.normal(size=(1, H)), rng.normal(size=(1, H))
    d_h, d_c = rng.normal(size=(1, H)), rng.normal(size=(1, H))

    def loss(h, c, b):  # type: ignore[no-untyped-def]
        moved = type(params)(params.kernel, params.recurrent_kernel, b)
        h_new, c_new, _, _ = cell_forward(x, h, c, moved, config)
        return np.sum(h_new * d_h + c_new * d_c)

    _, c_new, z, gates = cell_forward(x, h, c, params, config)
    d_z, d_h_prev, d_c_prev = cell_backward(d_h, d_c, c, c_new, z, gates, params, config)
    b = params.bias
    for analytic, place in ((d_h_prev[0], 0), (d_c_prev[0], 1), (d_z[0], 2)):
        for n in range(len(analytic)):
            ends = []
            for sign in (1, -1):
                point = [h.copy(), c.copy(), b.copy()]
                point[place].reshape(-1)[n] += sign * step
                ends.append(loss(*point))
            slope = (ends[0] - ends[1]) / (2 * step)
            np.testing.assert_allclose(analytic[n], slope, rtol=1e-7, atol=1e-9)
