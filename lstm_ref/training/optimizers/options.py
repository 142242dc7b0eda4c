"""The options that all of Keras' optimizers have: checked, explained, and written into a config."""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar, Self

import numpy as np

from lstm_ref.errors import UnsupportedError
from lstm_ref.layers.rounding import as_tensor
from lstm_ref.layers.session import auto_name, floatx
from lstm_ref.training import schedules
from lstm_ref.training.numbers import number, whole
from lstm_ref.training.schedules import LearningRateSchedule

Rate = float | LearningRateSchedule | Callable[[], float]
"""A learning rate as a constructor takes it."""

COMMON = (
    "weight_decay", "clipnorm", "global_clipnorm", "clipvalue", "use_ema", "ema_momentum",
    "ema_overwrite_frequency", "loss_scale_factor", "gradient_accumulation_steps",
)  # fmt: skip
"""The options by name, in the order of Keras' configs."""

HINTS = {
    "lr": ": it is called learning_rate",
    "decay": ": a learning rate that changes is a schedule, as InverseTimeDecay is",
}
"""What to write instead of an argument that older programs use."""


class Options:
    """The settings of an optimizer; `Optimizer` adds what it does with them.

    Args:
        learning_rate: η: a number, a schedule of `lstm_ref.optimizers.schedules`, or a function
            without arguments that is asked at every step.
        weight_decay: λ; each weight shrinks by w·λ·η before it is updated, where the gradient
            says so or not. None for none.
        clipnorm: the largest norm that the gradient of one weight may have.
        clipvalue: the largest number that a gradient may hold, and minus the smallest.
        global_clipnorm: the largest norm that all gradients together may have.
        use_ema: keep a moving average of each weight, which replaces it at the end of ``fit``.
        ema_momentum: how much of the average stays, step by step; the first is the weight itself.
        ema_overwrite_frequency: with `use_ema`, the average also replaces the weights after every
            so many updates.
        loss_scale_factor: refused.
        gradient_accumulation_steps: the weights change only at every so many steps, by the mean
            of the gradients since. A schedule counts the steps, Adam's t and the averaging count
            the updates; the average itself is taken at every step.
        name: None counts up ("adam", "adam_1").
        unknown: nothing; an argument that is not there is refused by its name.

    Raises:
        ValueError: a number that makes no sense, or more than one kind of clipping.
        UnsupportedError: an argument that does not exist, or a learning rate of another kind.
    """

    arguments: ClassVar[tuple[str, ...]] = ()
    """The constructor's own arguments, besides the learning rate and the common options."""

    def __init__(
        self,
        learning_rate: Rate,
        *,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **unknown: Any,
    ) -> None:
        kind = type(self).__name__
        for argument in unknown:
            hint = HINTS.get(argument, "")
            raise UnsupportedError(f"{kind}({argument}=...): there is no such argument{hint}")
        if loss_scale_factor is not None:
            raise UnsupportedError(
                f"{kind}(loss_scale_factor={loss_scale_factor!r}) is not supported: it keeps the "
                "gradients of half precision from vanishing, and there is none here"
            )
        self.floatx = np.dtype(floatx())
        self._learning_rate = self._checked_rate(learning_rate)
        self.weight_decay = None if weight_decay is None else number(
            weight_decay, self, "weight_decay"
        )  # fmt: skip
        self.clipnorm = self._limit(clipnorm, "clipnorm")
        self.clipvalue = self._limit(clipvalue, "clipvalue")
        self.global_clipnorm = self._limit(global_clipnorm, "global_clipnorm")
        if sum(c is not None for c in (clipnorm, clipvalue, global_clipnorm)) > 1:
            raise ValueError(
                f"{kind} got clipnorm={clipnorm}, clipvalue={clipvalue} and "
                f"global_clipnorm={global_clipnorm}: only one of them can be set"
            )
        self.use_ema = bool(use_ema)
        self.ema_momentum = number(
            ema_momentum, self, "ema_momentum", lambda n: not use_ema or 0 <= n <= 1,
            "a number from 0 to 1 is needed",
        )  # fmt: skip
        self.ema_overwrite_frequency = self._count(
            ema_overwrite_frequency, "ema_overwrite_frequency", 1, "every step"
        )
        self.loss_scale_factor = None
        self.gradient_accumulation_steps = self._count(
            gradient_accumulation_steps, "gradient_accumulation_steps", 2, "every other step"
        )
        self.not_decayed: frozenset[str] = frozenset()
        self.not_decayed_pattern: str | None = None
        self.name = auto_name(kind) if name is None else str(name)

    def _limit(self, value: float | None, argument: str) -> float | None:
        if value is None:
            return None
        need = "a number above 0 is needed, or None for no clipping"
        return number(value, self, argument, lambda n: n > 0, need)

    def _count(self, value: int | None, argument: str, least: int, meaning: str) -> int | None:
        if value is None:
            return None
        need = f"a whole number is needed, {least} ({meaning}) or more, or None for never"
        return whole(value, self, argument, least, need)

    # The learning rate.

    def _checked_rate(self, rate: Any) -> Any:
        if isinstance(rate, LearningRateSchedule) or (
            callable(rate) and not isinstance(rate, type)
        ):
            return rate
        try:
            return number(rate, self, "learning_rate")
        except ValueError:
            raise UnsupportedError(
                f"{type(self).__name__}(learning_rate={rate!r}): a number is needed, a schedule of "
                "lstm_ref.optimizers.schedules, or a function without arguments"
            ) from None

    def has_number_as_rate(self) -> bool:
        """Whether the learning rate is a number that can be changed, and no function."""
        return not callable(self._learning_rate)

    def rate_at(self, iterations: int) -> Any:
        """The learning rate of a step, as a number of NumPy's, rounded as Keras rounds it.

        A number is rounded to `floatx`, as it was when the optimizer was made; what a function
        or a schedule gives to float32, unless it is a NumPy float64.
        """
        rate = self._learning_rate
        if not callable(rate):
            return self.floatx.type(rate)
        given = rate(iterations) if isinstance(rate, LearningRateSchedule) else rate()
        return as_tensor(given)

    # Weight decay.

    def exclude_from_weight_decay(
        self, var_list: Collection[str] | None = None, var_names: Collection[str] | None = None
    ) -> None:
        """Let weight decay spare some weights, in place of those named before.

        Args:
            var_list: weights by their whole names, ``"lstm/bias"``, as in
                ``model.named_weights()``.
            var_names: regular expressions; a weight is spared where one is found in the last
                part of its name, which is ``"bias"`` of ``"lstm/bias"``. Keras gives its
                variables that name.

        Raises:
            UnsupportedError: something else than names, as Keras' variables would be.
        """
        for name in (*(var_list or ()), *(var_names or ())):
            if not isinstance(name, str):
                raise UnsupportedError(
                    "exclude_from_weight_decay takes the names of weights, as 'lstm/bias' in "
                    f"model.named_weights(), and got {type(name).__name__}: an array does not say "
                    "whose weight it is"
                )
        self.not_decayed = frozenset(var_list or ())
        self.not_decayed_pattern = "|".join(sorted(set(var_names))) if var_names else None

    def decays(self, name: str) -> bool:
        """Whether weight decay is for this weight."""
        if self.weight_decay is None or name in self.not_decayed:
            return False
        pattern, last = self.not_decayed_pattern, name.rpartition("/")[2]
        return pattern is None or re.search(pattern, last) is None

    # Configs.

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments under Keras' names, JSON-able.

        Raises:
            UnsupportedError: the learning rate is a function of one's own.
        """
        rate = self._learning_rate
        if isinstance(rate, LearningRateSchedule):
            rate = schedules.serialize(rate)
        elif callable(rate):
            raise UnsupportedError(
                f"{type(self).__name__}(learning_rate={rate!r}) cannot be written into a config, "
                "as a model file needs it: use a schedule of lstm_ref.optimizers.schedules"
            )
        settings = {name: getattr(self, name) for name in (*COMMON, *self.arguments)}
        return {"name": self.name, "learning_rate": rate, **settings}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The optimizer that `get_config` described, with an empty memory.

        Raises:
            UnsupportedError, ValueError: as the constructor.
        """
        rate = config.get("learning_rate")
        if isinstance(rate, Mapping):
            return cls(**{**config, "learning_rate": schedules.deserialize(rate)})
        return cls(**config)
