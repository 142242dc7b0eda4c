"""How a gradient becomes a new weight: SGD, Adam, RMSprop.

Each optimizer is one pure function of a weight w, its gradient g and what was remembered about it
from earlier steps, and every line of it is one line of the formula above it. The formulas are
those of Keras (``keras.optimizers``), which differ from the papers' in where ε stands.

Keras rounds some constants through float32 on their way into a float64 computation: SGD's
momentum, and Adam's β₁ and β₂ where they are raised to a power. The same is done here, so that
float64 trajectories agree to the last digits; without it they part at 1e-7.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.errors import ShapeError, UnsupportedError
from lstm_ref.layers.rounding import through_float32
from lstm_ref.layers.session import auto_name

Slots = dict[str, Array]
"""What an optimizer remembers about one weight, each of the weight's shape."""

_REFUSED: dict[str, Any] = {
    "weight_decay": None,
    "clipnorm": None,
    "clipvalue": None,
    "global_clipnorm": None,
    "use_ema": False,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "loss_scale_factor": None,
    "gradient_accumulation_steps": None,
}
"""Keras' arguments that are not there yet, and the defaults that leave them without effect."""


class Optimizer:
    """What the optimizers share: the learning rate, the step count and the memory.

    Args:
        learning_rate: a number; schedules are refused. It may be changed at any time.
        name: as in Keras.
        refused: Keras' other arguments, at their defaults; another value is refused by name.
    """

    arguments: ClassVar[tuple[str, ...]] = ()
    """The constructor's arguments besides the learning rate and the name."""

    def __init__(self, learning_rate: float, name: str | None = None, **refused: Any) -> None:
        kind = type(self).__name__
        for argument, value in refused.items():
            if argument not in _REFUSED:
                hint = ": it is called learning_rate" if argument == "lr" else ""
                raise UnsupportedError(f"{kind}({argument}=...): there is no such argument{hint}")
            if value != _REFUSED[argument]:
                raise UnsupportedError(f"{kind}({argument}={value!r}) is not supported yet")
        self.learning_rate = learning_rate
        self.name = auto_name(kind) if name is None else str(name)
        self.iterations = 0
        self.slots: dict[str, Slots] = {}
        self.built = False

    @property
    def learning_rate(self) -> float:
        """The factor on every update."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            raise UnsupportedError(
                f"{type(self).__name__}(learning_rate={value!r}): a number is needed "
                "(schedules are not supported yet)"
            )
        self._learning_rate = float(value)

    def build(self, weights: Mapping[str, Array]) -> None:
        """Begin remembering: zeros for every weight that is not known yet."""
        for name, weight in weights.items():
            if name not in self.slots:
                self.slots[name] = {slot: np.zeros_like(weight) for slot in self.slot_names()}
            elif any(slot.shape != weight.shape for slot in self.slots[name].values()):
                raise ShapeError(
                    f"this {type(self).__name__} has trained another model's {name}, of another "
                    "shape: give each model an optimizer of its own"
                )
        self.built = True

    def apply(
        self, weights: Mapping[str, Array], gradients: Mapping[str, Array]
    ) -> dict[str, Array]:
        """The weights after one step. Counts the step; the arrays given are left as they are."""
        self.build(weights)
        self.iterations += 1
        updated = {}
        for name, w in weights.items():
            updated[name], self.slots[name] = self.update(w, gradients[name], self.slots[name])
        return updated

    def size(self, floatx: str) -> tuple[int, int]:
        """How many numbers it remembers, and in how many bytes.

        As Keras counts them: the step count in 8 bytes and the learning rate are two of them.
        """
        arrays = [array for slots in self.slots.values() for array in slots.values()]
        numbers = 2 + sum(array.size for array in arrays)
        return numbers, 8 + np.dtype(floatx).itemsize + sum(array.nbytes for array in arrays)

    def slot_names(self) -> tuple[str, ...]:
        """What is remembered about each weight."""
        raise NotImplementedError

    def update(self, w: Array, g: Array, slots: Slots) -> tuple[Array, Slots]:
        """The new weight and the new memory of it, at step number `iterations`, from 1."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments under Keras' names, JSON-able."""
        common = {"name": self.name, "learning_rate": self.learning_rate}
        return {**common, **{name: getattr(self, name) for name in self.arguments}}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The optimizer that `get_config` described, with an empty memory."""
        return cls(**config)


class SGD(Optimizer):
    """Gradient descent, with momentum μ and Nesterov's variant.

    ::

        w ← w − η·g                          without momentum
        m ← μ·m − η·g,    w ← w + m          with momentum
                          w ← w + μ·m − η·g  Nesterov's
    """

    arguments = ("momentum", "nesterov")

    def __init__(
        self,
        learning_rate: float = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **common: Any,
    ) -> None:
        super().__init__(learning_rate, **common)
        if not 0 <= momentum <= 1:
            raise ValueError(f"SGD(momentum={momentum}): a number from 0 to 1 is needed")
        self.momentum, self.nesterov = float(momentum), bool(nesterov)

    def slot_names(self) -> tuple[str, ...]:
        """m, where there is momentum."""
        return ("momentum",) if self.momentum else ()

    def update(self, w: Array, g: Array, slots: Slots) -> tuple[Array, Slots]:
        """See the class."""
        η, μ = self.learning_rate, through_float32(self.momentum, w.dtype)
        if not self.momentum:
            return w - η * g, slots
        m = μ * slots["momentum"] - η * g
        w = w + (μ * m - η * g) if self.nesterov else w + m
        return w, {"momentum": m}


class Adam(Optimizer):
    """Kingma and Ba (2015), in the form of the paper's section 2, at its end.

    ::

        α = η·√(1 − β₂ᵗ) / (1 − β₁ᵗ)
        m ← m + (g − m)·(1 − β₁)
        v ← v + (g² − v)·(1 − β₂)
        w ← w − m·α / (√v + ε)

    ε is outside the root and v is not corrected, so this ε is the paper's ε̂.
    """

    arguments = ("beta_1", "beta_2", "epsilon", "amsgrad")

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **common: Any,
    ) -> None:
        super().__init__(learning_rate, **common)
        if amsgrad:
            raise UnsupportedError("Adam(amsgrad=True) is not supported yet")
        self.beta_1, self.beta_2 = float(beta_1), float(beta_2)
        self.epsilon, self.amsgrad = float(epsilon), False

    def slot_names(self) -> tuple[str, ...]:
        """m and v."""
        return ("momentum", "velocity")

    def update(self, w: Array, g: Array, slots: Slots) -> tuple[Array, Slots]:
        """See the class."""
        m, v, ε = slots["momentum"], slots["velocity"], self.epsilon
        η, t = w.dtype.type(self.learning_rate), w.dtype.type(self.iterations)
        β1_t = through_float32(self.beta_1, w.dtype) ** t
        β2_t = through_float32(self.beta_2, w.dtype) ** t
        α = η * np.sqrt(1 - β2_t) / (1 - β1_t)
        m = m + (g - m) * (1 - self.beta_1)
        v = v + (g * g - v) * (1 - self.beta_2)
        w = w - m * α / (np.sqrt(v) + ε)
        return w, {"momentum": m, "velocity": v}


class RMSprop(Optimizer):
    """Tieleman and Hinton (2012), lecture 6.5, with momentum μ and the centered variant.

    ::

        v ← ρ·v + (1 − ρ)·g²
        d = v + ε                                       plain
        a ← ρ·a + (1 − ρ)·g,   d = v − a² + ε           centered
        w ← w − η·g / √d                                without momentum
        m ← μ·m + η·g / √d,    w ← w − m                with momentum

    ε is inside the root.
    """

    arguments = ("rho", "momentum", "epsilon", "centered")

    def __init__(
        self,
        learning_rate: float = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **common: Any,
    ) -> None:
        super().__init__(learning_rate, **common)
        self.rho, self.momentum = float(rho), float(momentum)
        self.epsilon, self.centered = float(epsilon), bool(centered)

    def slot_names(self) -> tuple[str, ...]:
        """v, and m and a where they are used."""
        names = ["velocity"]
        if self.momentum > 0:
            names.append("momentum")
        if self.centered:
            names.append("average_gradient")
        return tuple(names)

    def update(self, w: Array, g: Array, slots: Slots) -> tuple[Array, Slots]:
        """See the class."""
        η, ρ, μ, ε = w.dtype.type(self.learning_rate), self.rho, self.momentum, self.epsilon
        v = ρ * slots["velocity"] + (1 - ρ) * (g * g)
        remembered = {"velocity": v}
        d = v + ε
        if self.centered:
            a = ρ * slots["average_gradient"] + (1 - ρ) * g
            remembered["average_gradient"] = a
            d = v - a * a + ε
        step = η * g / np.sqrt(d)
        if μ > 0:
            step = remembered["momentum"] = μ * slots["momentum"] + step
        return w - step, remembered


OPTIMIZERS: dict[str, type[Optimizer]] = {cls.__name__.lower(): cls for cls in (SGD, Adam, RMSprop)}
"""Every optimizer by its name in lower case, as names are compared."""


def get(identifier: Any) -> Optimizer:
    """The optimizer meant by a name, an object or a ``{"class_name", "config"}`` dict.

    Raises:
        UnsupportedError: for anything else, naming it.
    """
    if isinstance(identifier, Optimizer):
        return identifier
    name: Any = identifier
    config: dict[str, Any] = {}
    if isinstance(identifier, dict):
        name, config = identifier.get("class_name"), identifier.get("config") or {}
    if not isinstance(name, str) or name.lower() not in OPTIMIZERS:
        raise UnsupportedError(
            f"optimizer={identifier!r} is not supported: 'sgd', 'adam' and 'rmsprop' are, as names "
            "or as SGD(...), Adam(...) and RMSprop(...)"
        )
    return OPTIMIZERS[name.lower()].from_config(config)


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """What `get` reads back."""
    return {"class_name": type(optimizer).__name__, "config": optimizer.get_config()}
