"""Adam, and AdamW."""

from typing import Any, ClassVar

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.layers.rounding import through_float32
from lstm_ref.training.numbers import number
from lstm_ref.training.optimizers.base import Now, Optimizer, Rate
from lstm_ref.training.optimizers.state import Slots


class Adam(Optimizer):
    """Kingma and Ba (2015), in the form of the paper's section 2, at its end.

    ::

        α = η·√(1 − β₂ᵗ) / (1 − β₁ᵗ)
        m ← m + (g − m)·(1 − β₁)
        v ← v + (g² − v)·(1 − β₂)
        w ← w − m·α / (√v + ε)

    ε is outside the root and v is not corrected, so this ε is the paper's ε̂. With `amsgrad`
    (Reddi, Kale and Kumar, 2018) the root is that of the largest v so far::

        v̂ ← max(v̂, v)
        w ← w − m·α / (√v̂ + ε)

    Args:
        learning_rate: η; see `Optimizer`.
        beta_1, beta_2, epsilon: β₁, β₂ and ε.
        amsgrad: remember the largest v.
        common: the options that all optimizers have; see `Optimizer`.
    """

    arguments: ClassVar[tuple[str, ...]] = ("beta_1", "beta_2", "epsilon", "amsgrad")

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **common: Any,
    ) -> None:
        super().__init__(learning_rate, **common)
        self.beta_1 = number(beta_1, self, "beta_1")
        self.beta_2 = number(beta_2, self, "beta_2")
        self.epsilon = number(epsilon, self, "epsilon")
        self.amsgrad = bool(amsgrad)

    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        """m and v, and v̂ where it is used."""
        return (("momentum", "velocity"), *([("velocity_hat",)] if self.amsgrad else []))

    def constants(self, now: Now) -> Any:
        """α."""
        t = now.dtype.type(now.t)
        β1_t = through_float32(self.beta_1, now.dtype) ** t
        β2_t = through_float32(self.beta_2, now.dtype) ** t
        return now.η * np.sqrt(1 - β2_t) / (1 - β1_t)

    def update(self, w: Array, g: Array, slots: Slots, constants: Any) -> tuple[Array, Slots]:
        """See the class."""
        m, v, α, ε = slots["momentum"], slots["velocity"], constants, self.epsilon
        m = m + (g - m) * (1 - self.beta_1)
        v = v + (g * g - v) * (1 - self.beta_2)
        remembered = {"momentum": m, "velocity": v}
        if self.amsgrad:
            v = remembered["velocity_hat"] = np.maximum(slots["velocity_hat"], v)
        return w - m * α / (np.sqrt(v) + ε), remembered


class AdamW(Adam):
    """Adam with weight decay, 0.004 when nothing else is said; Loshchilov and Hutter (2019).

    The decay is that of `Optimizer`: every weight, biases included, shrinks by ``w·λ·η`` before
    Adam's step. `exclude_from_weight_decay` spares some.

    Raises:
        ValueError: ``weight_decay=None``: that is Adam.
    """

    def __init__(
        self,
        learning_rate: Rate = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **common: Any,
    ) -> None:
        super().__init__(
            learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **common
        )
        if weight_decay is None:
            raise ValueError(
                "AdamW(weight_decay=None): a number is needed; Adam is AdamW without weight decay"
            )
