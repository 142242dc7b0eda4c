"""How the learning rate changes from step to step: Keras' schedules.

A schedule is a function of the step, counted from 0. Its formula is that of
``keras.optimizers.schedules``, with η₀ for the initial learning rate and s for the step.

Keras on TensorFlow makes a tensor of η₀ and computes in its type. A number of Python's becomes
float32 there, also in a model of float64, so that every learning rate is rounded to float32; only
a NumPy float64 is computed with in float64. It is the same here, down to the last bit. A file
keeps the number and not its type, so what was a float64 is computed with in float32 once it is
read back.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from lstm_ref.errors import UnsupportedError
from lstm_ref.layers import named
from lstm_ref.layers.rounding import as_tensor
from lstm_ref.training import numbers

Step = int | float | np.generic
"""The number of a step, from 0."""

Rate = np.float32 | np.float64
"""A learning rate in the type that a schedule computes in."""


def number(value: Any, owner: object, argument: str, *rule: Any) -> float:
    """`numbers.number`, which leaves NumPy's float64 what it is."""
    plain = numbers.number(value, owner, argument, *rule)
    return value if isinstance(value, np.float64) else plain


class LearningRateSchedule(named.Named):
    """``schedule(step)`` gives the learning rate of that step, counted from 0.

    For a schedule of one's own, write ``__call__``. It trains like the others; only those of this
    module can be saved with a model.
    """

    def __call__(self, step: Any) -> Any:
        """The learning rate at this step, a number; those of this module give NumPy's."""
        raise NotImplementedError(
            f"{type(self).__name__} does not say what the learning rate is: write __call__(step)"
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, JSON-able."""
        if not self.arguments:
            raise NotImplementedError(
                f"{type(self).__name__} does not say what it was made of: write get_config()"
            )
        return super().get_config()


class _Decay(LearningRateSchedule):
    """What the schedules with an initial learning rate share."""

    def __init__(self, initial_learning_rate: float, name: str) -> None:
        self.initial_learning_rate = number(initial_learning_rate, self, "initial_learning_rate")
        self.name = name

    def positive(self, value: Any, argument: str) -> float:
        """A number of steps, after which something ends.

        Raises:
            ValueError: it is not above 0.
        """
        return number(value, self, argument, lambda n: n > 0, "a number above 0 is needed")

    @property
    def η0(self) -> Rate:
        """The initial learning rate. Its type is that of the whole computation."""
        return as_tensor(self.initial_learning_rate)


class _RateDecay(_Decay):
    """What the two share that take a rate for every so many steps."""

    arguments: ClassVar[tuple[str, ...]] = (
        "initial_learning_rate", "decay_steps", "decay_rate", "staircase", "name",
    )  # fmt: skip

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool,
        name: str,
    ) -> None:
        super().__init__(initial_learning_rate, name)
        self.decay_steps = self.positive(decay_steps, "decay_steps")
        self.decay_rate = number(decay_rate, self, "decay_rate")
        self.staircase = bool(staircase)

    def __call__(self, step: Step) -> Any:
        """See the class."""
        η0 = self.η0
        s, steps, rate = cast(η0, step, self.decay_steps, self.decay_rate)
        p = s / steps
        return self.after(np.floor(p) if self.staircase else p, η0, rate)

    def after(self, p: Any, η0: Rate, rate: Any) -> Any:
        """The learning rate after p times `decay_steps`."""
        raise NotImplementedError


class ExponentialDecay(_RateDecay):
    """``η₀ · decay_rate^(s / decay_steps)``; with `staircase`, the power is a whole number.

    Raises:
        ValueError: an argument that is no number, or `decay_steps` not above 0.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        super().__init__(initial_learning_rate, decay_steps, decay_rate, staircase, name)

    def after(self, p: Any, η0: Rate, rate: Any) -> Any:
        """See the class."""
        return η0 * rate**p


class InverseTimeDecay(_RateDecay):
    """``η₀ / (1 + decay_rate · s / decay_steps)``; with `staircase`, the quotient is whole.

    Raises:
        ValueError: an argument that is no number, or `decay_steps` not above 0.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        super().__init__(initial_learning_rate, decay_steps, decay_rate, staircase, name)

    def after(self, p: Any, η0: Rate, rate: Any) -> Any:
        """See the class."""
        return η0 / (1 + rate * p)


class PolynomialDecay(_Decay):
    """``(η₀ − end) · (1 − s/n)^power + end``, with n of `decay_steps` and s at most n.

    With `cycle`, s goes on, and n is the next multiple of `decay_steps` from s on: the learning
    rate jumps back up whenever it has come to the end, to a lower height each time.

    Raises:
        ValueError: an argument that is no number, or `decay_steps` not above 0.
    """

    arguments: ClassVar[tuple[str, ...]] = (
        "initial_learning_rate", "decay_steps", "end_learning_rate", "power", "cycle", "name",
    )  # fmt: skip

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        super().__init__(initial_learning_rate, name)
        self.decay_steps = self.positive(decay_steps, "decay_steps")
        self.end_learning_rate = number(end_learning_rate, self, "end_learning_rate")
        self.power = number(power, self, "power")
        self.cycle = bool(cycle)

    def __call__(self, step: Step) -> Any:
        """See the class."""
        η0 = self.η0
        s, n, end, power = cast(η0, step, self.decay_steps, self.end_learning_rate, self.power)
        if self.cycle:
            n = n * (np.ceil(s / type(η0)(self.decay_steps)) if s else 1)
        else:
            s = min(s, n)
        return (η0 - end) * (1 - s / n) ** power + end


class CosineDecay(_Decay):
    """Half a wave of the cosine down from η₀ to α·η₀; Loshchilov and Hutter (2017), section 3.

    ::

        η₀ · ((1 − α) · ½(1 + cos(π·s/n)) + α)         n of `decay_steps`, s at most n

    With a `warmup_target` the learning rate first grows from η₀ to it, in a straight line over
    `warmup_steps`; the wave begins there, at its height.

    Raises:
        ValueError: an argument that is no number, or `decay_steps` not above 0.
    """

    arguments: ClassVar[tuple[str, ...]] = (
        "initial_learning_rate", "decay_steps", "alpha", "name", "warmup_target", "warmup_steps",
    )  # fmt: skip

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ) -> None:
        super().__init__(initial_learning_rate, name)
        self.decay_steps = self.positive(decay_steps, "decay_steps")
        self.alpha = number(alpha, self, "alpha")
        if warmup_target is not None:
            warmup_target = number(warmup_target, self, "warmup_target")
        self.warmup_target = warmup_target
        self.warmup_steps = number(
            warmup_steps, self, "warmup_steps", lambda n: n >= 0, "a number is needed, 0 or more"
        )

    def __call__(self, step: Step) -> Any:
        """See the class."""
        η0 = self.η0
        s, n = cast(η0, step, self.decay_steps)
        if self.warmup_target is None:
            return self._wave(min(s, n), n, η0)
        top, warmup = cast(η0, self.warmup_target, self.warmup_steps)
        if s < warmup:
            return (top - η0) * (s / warmup) + η0
        return self._wave(min(s, n + warmup) - warmup, n, top)

    def _wave(self, s: Any, n: Any, top: Any) -> Any:
        half = 0.5 * (1 + cosine(type(s)(np.pi) * (s / n)))
        return top * ((1 - self.alpha) * half + self.alpha)


class CosineDecayRestarts(_Decay):
    """Waves of the cosine one after the other; Loshchilov and Hutter (2017), equation 5.

    ::

        η₀ · ((1 − α) · ½·m_mulⁱ·(1 + cos(π·p)) + α)

    Wave i, from 0, is ``first_decay_steps · t_mulⁱ`` steps long, and p is the part of it that has
    passed.

    Raises:
        ValueError: an argument that is no number, `first_decay_steps` not above 0, or `t_mul`
            below 1, which would let the waves come to an end.
    """

    arguments: ClassVar[tuple[str, ...]] = (
        "initial_learning_rate", "first_decay_steps", "t_mul", "m_mul", "alpha", "name",
    )  # fmt: skip

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        super().__init__(initial_learning_rate, name)
        self.first_decay_steps = self.positive(first_decay_steps, "first_decay_steps")
        self.t_mul = number(
            t_mul, self, "t_mul", lambda n: n >= 1,
            "a number is needed, 1 or more; shorter and shorter waves come to an end",
        )  # fmt: skip
        self.m_mul = number(m_mul, self, "m_mul")
        self.alpha = number(alpha, self, "alpha")

    def __call__(self, step: Step) -> Any:
        """See the class."""
        η0 = self.η0
        s, first, α = cast(η0, step, self.first_decay_steps, self.alpha)
        t_mul, m_mul = cast(η0, self.t_mul, self.m_mul)
        p = s / first  # in lengths of the first wave
        if t_mul == 1:
            i = np.floor(p)
            p = p - i
        else:  # wave i begins after 1 + t_mul + ... + t_mulⁱ⁻¹ lengths
            i = np.floor(logarithm(1 - p * (1 - t_mul)) / logarithm(t_mul))
            p = (p - (1 - t_mul**i) / (1 - t_mul)) / t_mul**i
        half = 0.5 * m_mul**i * (1 + cosine(type(p)(np.pi) * p))
        return η0 * ((1 - α) * half + α)


class PiecewiseConstantDecay(LearningRateSchedule):
    """``values[i]`` up to and with step ``boundaries[i]``, and after the last the last value.

    Where the step is a whole number, a boundary counts without its fraction.

    Args:
        boundaries: numbers of steps, from low to high.
        values: learning rates, one more than boundaries.
        name: as in Keras.

    Raises:
        ValueError: no boundary, too few or too many values, boundaries that do not grow, or
            something that is no number.
    """

    arguments: ClassVar[tuple[str, ...]] = ("boundaries", "values", "name")

    def __init__(
        self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant"
    ) -> None:
        self.boundaries = [number(b, self, "boundaries") for b in boundaries]
        self.values = [number(v, self, "values") for v in values]
        self.name = name
        if not self.boundaries or len(self.values) != len(self.boundaries) + 1:
            raise ValueError(
                f"PiecewiseConstantDecay got {len(self.boundaries)} boundaries and "
                f"{len(self.values)} values: 1 boundary or more and one value more than "
                "boundaries are needed, since the first value holds before the first boundary"
            )
        if self.boundaries != sorted(self.boundaries):
            raise ValueError(
                f"PiecewiseConstantDecay(boundaries={self.boundaries}): they must grow, from the "
                "first step at which the learning rate changes to the last"
            )

    def __call__(self, step: Step) -> Any:
        """See the class."""
        kind = int if isinstance(step, int | np.integer) else np.float32
        kind_of_rate = type(as_tensor(self.values[0]))
        for boundary, value in zip(self.boundaries, self.values, strict=False):
            if kind(step) <= kind(boundary):
                return kind_of_rate(as_tensor(value))
        return kind_of_rate(as_tensor(self.values[-1]))


def cast(η0: Rate, *constants: Any) -> list[Any]:
    """Numbers in the type of η₀, each rounded as Keras rounds it on the way; whole ones are not."""
    kind = type(η0)
    return [kind(as_tensor(c) if isinstance(c, float) else c) for c in constants]


def cosine(x: Any) -> Any:
    """The cosine of a number, rounded as TensorFlow rounds it, which takes the C library's.

    NumPy has one of its own for float32, which often differs in the last bit; for complex numbers
    it takes the C library's, too.
    """
    return np.cos(np.complex64(x)).real if isinstance(x, np.float32) else np.cos(x)


def logarithm(x: Any) -> Any:
    """The natural logarithm of a number, as in `cosine`: rounded once, from float64."""
    return type(x)(np.log(np.float64(x)))


SCHEDULES: dict[str, type[LearningRateSchedule]] = named.by_name(
    (
        ExponentialDecay, PiecewiseConstantDecay, CosineDecay, CosineDecayRestarts,
        PolynomialDecay, InverseTimeDecay,
    )
)  # fmt: skip
"""Every schedule by its class name, in both spellings."""


def serialize(learning_rate_schedule: LearningRateSchedule) -> dict[str, Any]:
    """What `deserialize` reads back: the class name and the config, and what Keras wants to see.

    Raises:
        UnsupportedError: a schedule of one's own, which could not be read back.
    """
    kind = type(learning_rate_schedule)
    if kind not in SCHEDULES.values():
        raise UnsupportedError(
            f"{kind.__name__} cannot be written into a config, because what reads it would not "
            "know it: use a schedule of lstm_ref.optimizers.schedules"
        )
    return {
        "module": "keras.optimizers.schedules",
        **named.serialize(learning_rate_schedule),
        "registered_name": None,
    }


def deserialize(config: Mapping[str, Any]) -> LearningRateSchedule:
    """The schedule that ``{"class_name": ..., "config": ...}`` describes.

    Raises:
        UnsupportedError: something else than such a dict.
        ValueError: a name that is not known.
        ModelFormatError: a config that does not belong to the class.
    """
    if not isinstance(config, Mapping):
        raise UnsupportedError(
            f"a schedule is described by its class name and its config, not by {config!r}"
        )
    return named.find(
        dict(config), LearningRateSchedule, SCHEDULES, "a schedule is made by its class"
    )
