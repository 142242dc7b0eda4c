"""Adagrad: a learning rate for every number of a weight, smaller with each gradient."""

from typing import Any, ClassVar

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.training.numbers import number
from lstm_ref.training.optimizers.base import Now, Optimizer, Rate
from lstm_ref.training.optimizers.state import Slots


class Adagrad(Optimizer):
    """Duchi, Hazan and Singer (2011), the diagonal form of their figure 1.

    ::

        a ← a + g²                       from a₀ on
        w ← w − η·g / √(a + ε)

    ε is inside the root. In float64, Keras' a₀ is rounded to float32.

    Args:
        learning_rate: η; see `Optimizer`. The paper's is 1.0; Keras' default is much smaller.
        initial_accumulator_value: a₀, 0 or more.
        epsilon: ε.
        common: the options that all optimizers have; see `Optimizer`.
    """

    arguments: ClassVar[tuple[str, ...]] = ("initial_accumulator_value", "epsilon")

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **common: Any,
    ) -> None:
        super().__init__(learning_rate, **common)
        self.initial_accumulator_value = number(
            initial_accumulator_value, self, "initial_accumulator_value", lambda n: n >= 0,
            "a number is needed, 0 or more, since it begins a sum of squares",
        )  # fmt: skip
        self.epsilon = number(epsilon, self, "epsilon")

    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        """a."""
        return (("accumulator",),)

    def first_value(self) -> float:
        """a₀, which Keras rounds to float32."""
        return float(np.float32(self.initial_accumulator_value))

    def constants(self, now: Now) -> Any:
        """η."""
        return now.η

    def update(self, w: Array, g: Array, slots: Slots, constants: Any) -> tuple[Array, Slots]:
        """See the class."""
        η, ε = constants, self.epsilon
        a = slots["accumulator"] + g * g
        w = w - η * g / np.sqrt(a + ε)
        return w, {"accumulator": a}
