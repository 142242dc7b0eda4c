"""ONNX's operator LSTM number by number, from the equations of its page, in plain Python floats.

https://onnx.ai/onnx/operators/onnx__LSTM.html. Nothing here is shared with what it checks: no NumPy
arithmetic, no gate order, no activation. What that page leaves open is as ONNX Runtime does it.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Function = Callable[[float], float]

FUNCTIONS: dict[str, tuple[Callable[..., float], tuple[float, ...]]] = {
    "relu": (lambda x: max(0.0, x), ()),
    "tanh": (math.tanh, ()),
    "sigmoid": (lambda x: 1 / (1 + math.exp(-x)), ()),
    "affine": (lambda x, a, b: a * x + b, (0.0, 0.0)),
    "leakyrelu": (lambda x, a: x if x >= 0 else a * x, (0.01,)),
    "thresholdedrelu": (lambda x, a: x if x > a else 0.0, (0.0,)),
    "scaledtanh": (lambda x, a, b: a * math.tanh(b * x), (0.0, 0.0)),
    "hardsigmoid": (lambda x, a, b: min(max(a * x + b, 0.0), 1.0), (0.2, 0.5)),
    "elu": (lambda x, a: x if x >= 0 else a * (math.exp(x) - 1), (1.0,)),
    "softsign": (lambda x: x / (1 + abs(x)), ()),
    "softplus": (lambda x: math.log(1 + math.exp(x)), ()),
}


def lstm(
    X: np.ndarray,
    W: np.ndarray,
    R: np.ndarray,
    B: np.ndarray | None = None,
    sequence_lens: np.ndarray | None = None,
    initial_h: np.ndarray | None = None,
    initial_c: np.ndarray | None = None,
    P: np.ndarray | None = None,
    **attributes: Any,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Y, Y_h and Y_c in layout 0."""
    T, batch, _ = X.shape
    dirs, _, H = R.shape
    given = [list(attributes.get(f"activation_{which}", ())) for which in ("alpha", "beta")]
    names = attributes.get("activations", ["Sigmoid", "Tanh", "Tanh"] * dirs)
    functions = [bound(name, *given) for name in names]
    Y, Y_h, Y_c = (np.zeros((*steps, dirs, batch, H)) for steps in ((T,), (), ()))
    for d in range(dirs):
        backwards = attributes.get("direction") == "reverse" or d == 1
        for row in range(batch):
            length = T if sequence_lens is None else int(sequence_lens[row])
            if length == 0:
                continue
            h = [0.0] * H if initial_h is None else initial_h[d, row].tolist()
            c = [0.0] * H if initial_c is None else initial_c[d, row].tolist()
            steps = range(length)
            for t in reversed(steps) if backwards else steps:
                h, c = step(
                    X[t, row].tolist(), h, c, W[d].tolist(), R[d].tolist(),
                    [0.0] * 8 * H if B is None else B[d].tolist(),
                    [0.0] * 3 * H if P is None else P[d].tolist(),
                    functions[3 * d : 3 * d + 3],
                    attributes.get("clip", math.inf),
                    attributes.get("input_forget", 0),
                )  # fmt: skip
                Y[t, d, row] = h
            Y_h[d, row], Y_c[d, row] = h, c
    return Y, Y_h, Y_c


def bound(name: str, alphas: list[float], betas: list[float]) -> Function:
    """The function with its α and β, which are taken from the lists."""
    function, own = FUNCTIONS[name.lower()]
    values = list(own)
    if len(own) > 0 and alphas:
        values[0] = alphas.pop(0)
    if len(own) > 1 and betas:
        values[1] = betas.pop(0)
    return lambda x: function(x, *values)


def step(
    x: list[float],
    h: list[float],
    c: list[float],
    W: list[list[float]],
    R: list[list[float]],
    B: list[float],
    P: list[float],
    functions: list[Function],
    clip: float,
    input_forget: int,
) -> tuple[list[float], list[float]]:
    """H_t and C_t of one row and direction."""
    of_gates, of_cell, of_hidden = functions
    H = len(h)

    def z(block: int, unit: int) -> float:
        """Block 0 is i, 1 is o, 2 is f, 3 is c: W[iofc], R[iofc], Wb[iofc], Rb[iofc]."""
        row = block * H + unit
        products = [w * value for w, value in zip(W[row] + R[row], x + h, strict=True)]
        return math.fsum([*products, B[row], B[4 * H + row]])

    def clipped(value: float) -> float:
        return max(-clip, min(clip, value))

    new_h, new_c = [], []
    for u in range(H):
        i = of_gates(clipped(z(0, u) + P[u] * c[u]))
        f = 1 - i if input_forget else of_gates(clipped(z(2, u) + P[2 * H + u] * c[u]))
        C = f * c[u] + i * of_cell(clipped(z(3, u)))
        o = of_gates(clipped(z(1, u) + P[H + u] * C))
        new_c.append(C)
        new_h.append(o * of_hidden(C))
    return new_h, new_c
