"""Stochastic gradient descent."""

from typing import Any, ClassVar

from lstm_ref.conventions import Array
from lstm_ref.layers.rounding import through_float32
from lstm_ref.training.numbers import number
from lstm_ref.training.optimizers.base import Now, Optimizer, Rate
from lstm_ref.training.optimizers.state import Slots


class SGD(Optimizer):
    """Gradient descent, with momentum μ and Nesterov's variant.

    ::

        w ← w − η·g                          without momentum
        m ← μ·m − η·g,    w ← w + m          with momentum
                          w ← w + μ·m − η·g  Nesterov's

    Args:
        learning_rate: η; see `Optimizer`.
        momentum: μ, from 0 to 1.
        nesterov: Nesterov's variant; without effect where μ is 0, as in Keras.
        common: the options that all optimizers have; see `Optimizer`.
    """

    arguments: ClassVar[tuple[str, ...]] = ("momentum", "nesterov")

    def __init__(
        self,
        learning_rate: Rate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **common: Any,
    ) -> None:
        super().__init__(learning_rate, **common)
        self.momentum = number(
            momentum, self, "momentum", lambda n: 0 <= n <= 1, "a number from 0 to 1 is needed"
        )
        self.nesterov = bool(nesterov)

    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        """m, where there is momentum."""
        return (("momentum",),) if self.momentum else ()

    def constants(self, now: Now) -> Any:
        """η and μ."""
        return now.η, through_float32(self.momentum, now.dtype)

    def update(self, w: Array, g: Array, slots: Slots, constants: Any) -> tuple[Array, Slots]:
        """See the class."""
        η, μ = constants
        if not self.momentum:
            return w - η * g, slots
        m = μ * slots["momentum"] - η * g
        w = w + (μ * m - η * g) if self.nesterov else w + m
        return w, {"momentum": m}
