"""RMSprop: a learning rate for every number of a weight, from the size of recent gradients."""

from typing import Any, ClassVar

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.training.numbers import number
from lstm_ref.training.optimizers.base import Now, Optimizer, Rate
from lstm_ref.training.optimizers.state import Slots


class RMSprop(Optimizer):
    """Tieleman and Hinton (2012), lecture 6.5, with momentum μ and the centered variant.

    ::

        v ← ρ·v + (1 − ρ)·g²
        d = v + ε                                       plain
        a ← ρ·a + (1 − ρ)·g,   d = v − a² + ε           centered
        w ← w − η·g / √d                                without momentum
        m ← μ·m + η·g / √d,    w ← w − m                with momentum

    ε is inside the root.

    Args:
        learning_rate: η; see `Optimizer`.
        rho, momentum, epsilon: ρ, μ and ε.
        centered: divide by the spread of recent gradients, not by their size.
        common: the options that all optimizers have; see `Optimizer`.
    """

    arguments: ClassVar[tuple[str, ...]] = ("rho", "momentum", "epsilon", "centered")

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **common: Any,
    ) -> None:
        super().__init__(learning_rate, **common)
        self.rho = number(rho, self, "rho")
        self.momentum = number(
            momentum, self, "momentum", lambda n: n >= 0, "a number is needed, 0 or more"
        )
        self.epsilon = number(epsilon, self, "epsilon")
        self.centered = bool(centered)

    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        """v, and m and a where they are used."""
        used = {"velocity": True, "momentum": self.momentum > 0, "average_gradient": self.centered}
        return tuple((slot,) for slot, is_used in used.items() if is_used)

    def constants(self, now: Now) -> Any:
        """η."""
        return now.η

    def update(self, w: Array, g: Array, slots: Slots, constants: Any) -> tuple[Array, Slots]:
        """See the class."""
        η, ρ, μ, ε = constants, self.rho, self.momentum, self.epsilon
        v = ρ * slots["velocity"] + (1 - ρ) * (g * g)
        remembered = {"velocity": v}
        if self.centered:
            a = ρ * slots["average_gradient"] + (1 - ρ) * g
            remembered["average_gradient"] = a
            d = v - a * a + ε
        else:
            d = v + ε
        step = η * g / np.sqrt(d)
        if μ > 0:
            step = remembered["momentum"] = μ * slots["momentum"] + step
        return w - step, remembered
