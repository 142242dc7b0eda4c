"""The symbols, the gate order and the numbered equations: the one place they are written down.

Symbols (the same in code, docs and messages)
    B, T, D, H, K    batch, time steps, input features, hidden units, outputs of the head
    P                width of the hidden state: H, unless it is projected
    x_t, h_t, c_t    input, hidden state and cell state at step t
    z                pre-activations, ``z = x_t W + h_{t-1} U + b``, width 4H
    i, f, g, o       input gate, forget gate, candidate, output gate, always *after* activation
    W[D,4H]          kernel
    U[P,4H]          recurrent kernel
    b[4H]            bias
    p[3H], R[H,P]    peephole weights and projection, of the LSTMs that have them
    σ, φ             the recurrent activation (gates) and the activation (candidate and output)
    d_name           gradient of the loss with respect to ``name``

Weights are held in Keras' layout, four blocks of H columns side by side in the order i, f, g, o
(Keras writes the same order i, f, c, o). Every other layout is converted to it at the door.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[tuple[Any, ...], np.dtype[Any]]
"""``numpy.typing.NDArray[Any]``, written out, since importing it takes longer than all of this."""

GATES = ("i", "f", "g", "o")
"""The order of the four gate blocks along the last axis of W, U, b and z. It stands only here."""

PEEPHOLE_GATES = ("i", "f", "o")
"""The order of the blocks of p: the gates that look at the cell state, which are all but g."""

DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
"""What both backends compute in. The specification alone also runs in ``np.longdouble``."""


def split_gates(z: Array) -> tuple[Array, Array, Array, Array]:
    """Views of the i, f, g and o blocks of ``z[..., 4H]``, each ``[..., H]``.

    Writing into a view writes into ``z``.
    """
    H = z.shape[-1] // len(GATES)
    i, f, g, o = (z[..., n * H : (n + 1) * H] for n in range(len(GATES)))
    return i, f, g, o


def split_peepholes(p: Array) -> tuple[Array, Array, Array]:
    """Views of the i, f and o blocks of ``p[3H]``, each ``[H]``."""
    i, f, o = p.reshape(len(PEEPHOLE_GATES), -1)
    return i, f, o


@dataclass(frozen=True)
class Equation:
    """One numbered equation: its name, and the formula in LaTeX."""

    title: str
    latex: str


EQUATIONS: dict[int, Equation] = {
    # One time step, forward.
    1: Equation("pre-activations", r"z = x_t W + h_{t-1} U + b"),
    2: Equation("input and forget gate", r"i = \sigma(z_i), \quad f = \sigma(z_f)"),
    3: Equation("candidate", r"g = \varphi(z_g)"),
    4: Equation("cell state", r"c_t = f \odot c_{t-1} + i \odot g"),
    5: Equation("output gate", r"o = \sigma(z_o)"),
    6: Equation("hidden state", r"h_t = o \odot \varphi(c_t)"),
    # One time step, backward.
    7: Equation("output gate", r"\partial o = \partial h_t \odot \varphi(c_t)"),
    8: Equation(
        "cell state", r"\partial c_t \mathrel{+}= \partial h_t \odot o \odot \varphi'(c_t)"
    ),
    9: Equation(
        "input gate, forget gate, candidate",
        r"\partial i = \partial c_t \odot g, \quad \partial f = \partial c_t \odot c_{t-1}, "
        r"\quad \partial g = \partial c_t \odot i",
    ),
    10: Equation(
        "pre-activations",
        r"\partial z = (\partial i \odot \sigma'(z_i),\ \partial f \odot \sigma'(z_f),\ "
        r"\partial g \odot \varphi'(z_g),\ \partial o \odot \sigma'(z_o))",
    ),
    11: Equation("previous cell state", r"\partial c_{t-1} = \partial c_t \odot f"),
    12: Equation("previous hidden state", r"\partial h_{t-1} = \partial z\, U^\top"),
    13: Equation("input", r"\partial x_t = \partial z\, W^\top"),
    14: Equation(
        "weights, summed over batch and time",
        r"\partial W \mathrel{+}= x_t^\top \partial z, \quad "
        r"\partial U \mathrel{+}= h_{t-1}^\top \partial z, \quad "
        r"\partial b \mathrel{+}= \textstyle\sum_B \partial z",
    ),
    # A masked sequence: m_t is 1 where the step is real and 0 where it is padding.
    15: Equation(
        "the state holds through padding",
        r"(h_t, c_t) \leftarrow m_t\,(h_t, c_t) + (1 - m_t)\,(h_{t-1}, c_{t-1})",
    ),
    16: Equation(
        "the output repeats through padding (hold), or is zero there (zero)",
        r"y_t = m_t h_t + (1 - m_t)\, y_{t-1} \ \text{(hold)}, \quad y_t = m_t h_t \ "
        r"\text{(zero)}, \qquad y_0 = 0",
    ),
    17: Equation(
        "backward of the output rule",
        r"\partial h_t \mathrel{+}= m_t\,\partial y_t, \quad "
        r"\partial y_{t-1} \mathrel{+}= (1 - m_t)\,\partial y_t \ \text{(hold only)}",
    ),
    18: Equation(
        "backward of the held state",
        r"\partial(h_{t-1}, c_{t-1}) \leftarrow m_t\,\partial(h_{t-1}, c_{t-1}) + "
        r"(1 - m_t)\,\partial(h_t, c_t)",
    ),
    # The dense head, at every time step.
    19: Equation("dense head", r"y_t = \psi(h_t W + b)"),
    20: Equation("head pre-activations", r"\partial z = \partial y_t \odot \psi'(z)"),
    21: Equation("head input", r"\partial h_t = \partial z\, W^\top"),
    22: Equation(
        "head weights, summed over batch and time",
        r"\partial W \mathrel{+}= h_t^\top \partial z, \quad "
        r"\partial b \mathrel{+}= \textstyle\sum_B \partial z",
    ),
    # What some LSTMs do besides, forward.
    23: Equation(
        "dropout: pre-activations, with factors that are the same at every step",
        r"z = (s \odot x_t)\, W + (r \odot h_{t-1})\, U + b",
    ),
    24: Equation(
        "peepholes: the gates look at the cell state",
        r"z_i \mathrel{+}= p_i \odot c_{t-1}, \quad z_f \mathrel{+}= p_f \odot c_{t-1}, \quad "
        r"z_o \mathrel{+}= p_o \odot c_t",
    ),
    25: Equation("clipped pre-activations", r"z \leftarrow \min(\max(z, -\kappa), \kappa)"),
    26: Equation("coupled input and forget gate", r"f = 1 - i"),
    27: Equation(
        "projected hidden state",
        r"q_t = o \odot \varphi(c_t), \quad h_t = q_t R",
    ),
    # And backward.
    28: Equation(
        "projected hidden state",
        r"\partial q_t = \partial h_t R^\top, \quad \partial R \mathrel{+}= q_t^\top \partial h_t",
    ),
    29: Equation(
        "coupled input and forget gate",
        r"\partial i \mathrel{-}= \partial f, \quad \partial z_f = 0",
    ),
    30: Equation("clipped pre-activations", r"\partial z = 0 \ \text{where}\ |z| = \kappa"),
    31: Equation(
        "peepholes",
        r"\partial c_t \mathrel{+}= \partial z_o \odot p_o, \quad \partial c_{t-1} \mathrel{+}= "
        r"\partial z_i \odot p_i + \partial z_f \odot p_f, \quad \partial (p_i, p_f, p_o) "
        r"\mathrel{+}= \textstyle\sum_B (\partial z_i \odot c_{t-1},\ \partial z_f \odot c_{t-1},\ "
        r"\partial z_o \odot c_t)",
    ),
    32: Equation(
        "dropout",
        r"\partial x_t = s \odot (\partial z\, W^\top), \quad \partial h_{t-1} = r \odot "
        r"(\partial z\, U^\top), \quad "
        r"\partial W \mathrel{+}= (s \odot x_t)^\top \partial z, \quad "
        r"\partial U \mathrel{+}= (r \odot h_{t-1})^\top \partial z",
    ),
    # Classes: what the outputs of a time step become, and back.
    33: Equation("softmax", r"a = \frac{e^z}{\sum_K e^z}"),
    34: Equation(
        "softmax",
        r"\partial z = a \odot \left(\partial a - \textstyle\sum_K \partial a \odot a\right)",
    ),
    35: Equation("logarithm of softmax", r"a = z - \ln \textstyle\sum_K e^z"),
    36: Equation(
        "logarithm of softmax",
        r"\partial z = \partial a - e^a \textstyle\sum_K \partial a",
    ),
}
"""Every equation of the library. ``[EQ n]`` in docs, spec and kernels refers to this table."""
