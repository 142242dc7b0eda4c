"""Adam with Nesterov's momentum."""

from typing import Any, ClassVar

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.layers.rounding import through_float32
from lstm_ref.training.numbers import number
from lstm_ref.training.optimizers.base import Now, Optimizer, Rate
from lstm_ref.training.optimizers.state import Slots

DECAY = 0.96
"""How the momentum comes to its full value β₁, from half of it: Dozat's section 3."""


class Nadam(Optimizer):
    """Dozat (2016), algorithm 8, with the momentum schedule of its section 3.

    ::

        u_t = β₁·(1 − ½·0.96ᵗ),    U_t = u₁·u₂·…·u_t
        m ← m + (g − m)·(1 − β₁)
        v ← v + (g² − v)·(1 − β₂)
        m̂ = u_{t+1}·m / (1 − U_{t+1})  +  (1 − u_t)·g / (1 − U_t)
        v̂ = v / (1 − β₂ᵗ)
        w ← w − m̂·η / (√v̂ + ε)

    In float64, Keras' β₁, β₂ and 0.96 are rounded to float32, except on the way into U.

    Args:
        learning_rate: η; see `Optimizer`.
        beta_1, beta_2, epsilon: β₁, β₂ and ε.
        common: the options that all optimizers have; see `Optimizer`.
    """

    arguments: ClassVar[tuple[str, ...]] = ("beta_1", "beta_2", "epsilon")

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **common: Any,
    ) -> None:
        super().__init__(learning_rate, **common)
        self.beta_1 = number(beta_1, self, "beta_1")
        self.beta_2 = number(beta_2, self, "beta_2")
        self.epsilon = number(epsilon, self, "epsilon")

    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        """m and v."""
        return (("momentum", "velocity"),)

    def first_numbers(self) -> dict[str, float]:
        """U, the empty product."""
        return {"u_product": 1.0}

    def next_numbers(self, now: Now) -> dict[str, float]:
        """U_t from U_{t−1}."""
        kind, U = now.dtype.type, now.numbers["u_product"]
        U = kind(U) * self.beta_1 * (1 - 0.5 * kind(DECAY) ** kind(now.t))
        return {"u_product": float(U)}

    def constants(self, now: Now) -> Any:
        """β₁, β₂, β₂ᵗ, u_t, u_{t+1}, U_t, U_{t+1} and η."""
        kind, t = now.dtype.type, now.t
        β1, β2, decay = (through_float32(c, now.dtype) for c in (self.beta_1, self.beta_2, DECAY))
        u = β1 * (1 - 0.5 * decay ** kind(t))
        u_next = β1 * (1 - 0.5 * decay ** kind(t + 1))
        U = kind(now.numbers["u_product"])
        return β1, β2, β2 ** kind(t), u, u_next, U, U * u_next, now.η

    def update(self, w: Array, g: Array, slots: Slots, constants: Any) -> tuple[Array, Slots]:
        """See the class."""
        m, v, ε = slots["momentum"], slots["velocity"], self.epsilon
        β1, β2, β2_t, u, u_next, U, U_next, η = constants
        m = m + (g - m) * (1 - β1)
        v = v + (g * g - v) * (1 - β2)
        m_hat = u_next * m / (1 - U_next) + (1 - u) * g / (1 - U)
        v_hat = v / (1 - β2_t)
        w = w - m_hat * η / (np.sqrt(v_hat) + ε)
        return w, {"momentum": m, "velocity": v}
