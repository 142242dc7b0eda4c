"""What an optimizer remembers: made, counted, taken out for a checkpoint and put back."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.errors import ModelFormatError, ShapeError
from lstm_ref.layers.base import read_only
from lstm_ref.training.optimizers.options import Options, Rate
from lstm_ref.training.optimizers.state import AVERAGE, WAITING, Slots, State, sorted_by_weight


class Memory(Options):
    """An optimizer's options and its `state`; `Optimizer` adds the step."""

    def __init__(self, learning_rate: Rate, **common: Any) -> None:
        super().__init__(learning_rate, **common)
        self.state = State(numbers=self.first_numbers())

    # What an update rule says about itself.

    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        """What is remembered about each weight, in the groups in which Keras lists it.

        Keras lists the first of a group for a weight, then the second; then the next weight.
        """
        raise NotImplementedError

    def first_value(self) -> float:
        """With what a slot begins."""
        return 0.0

    def first_numbers(self) -> dict[str, float]:
        """With what the numbers begin that are remembered about all weights together."""
        return {}

    # Where it stands.

    @property
    def built(self) -> bool:
        """Whether it knows the weights it trains."""
        return bool(self.state.slots)

    @property
    def iterations(self) -> int:
        """How many updates there were. With gradient accumulation, steps are more."""
        return self.updates(self.state.iterations)

    def updates(self, steps: int) -> int:
        """How many of the first ``steps`` steps were updates."""
        return steps // (self.gradient_accumulation_steps or 1)

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step, rounded as it is used.

        Set it to a number at any time, or to a schedule or a function.

        Raises:
            TypeError: a number is set where a schedule or a function says what it is.
            UnsupportedError: something else is set.
        """
        return float(self.rate_at(self.state.iterations))

    @learning_rate.setter
    def learning_rate(self, value: Rate) -> None:
        value = self._checked_rate(value)
        if not callable(value) and not self.has_number_as_rate():
            raise TypeError(
                f"the learning rate of this {type(self).__name__} is given by "
                f"{self._learning_rate!r}, so it cannot be set to {value!r}: begin with a number "
                "to be able to change it"
            )
        self._learning_rate = value

    # Memory of weights.

    def build(self, weights: Mapping[str, Array]) -> None:
        """Begin remembering these weights, where they are not known yet.

        Raises:
            ShapeError: a weight of that name is known, in another shape or dtype.
            ValueError: a weight that was to be spared from weight decay is not there.
        """
        self.state = self.state_for(weights)

    def state_for(self, weights: Mapping[str, Array]) -> State:
        """The state, grown to these weights. `state` is left as it is; otherwise as `build`."""
        state = self.state
        for name, w in weights.items():
            for array in state.slots.get(name, {}).values():
                if array.shape != w.shape or array.dtype != w.dtype:
                    raise ShapeError(
                        f"this {type(self).__name__} has trained another model's {name}, of shape "
                        f"{array.shape} and {array.dtype}, and not of {w.shape} and {w.dtype}: "
                        "give each model an optimizer of its own"
                    )
        new = {name: w for name, w in weights.items() if name not in state.slots}
        if not new:
            return state
        known = {**state.slots, **new}
        if lost := sorted(self.not_decayed - set(known)):
            raise ValueError(
                f"exclude_from_weight_decay(var_list=...) names {lost[0]!r}, and the weights that "
                f"are trained are {', '.join(known)}"
            )
        return State(
            state.iterations,
            {**state.slots, **{name: self._first_slots(w) for name, w in new.items()}},
            {**state.waiting, **(_zeros(new) if self.gradient_accumulation_steps else {})},
            {**state.averages, **(_zeros(new) if self.use_ema else {})},
            state.numbers,
        )

    def _first_slots(self, w: Array) -> Slots:
        slots = (slot for group in self.slot_groups() for slot in group)
        return {slot: np.full(w.shape, self.first_value(), w.dtype) for slot in slots}

    # Out into a checkpoint and back.

    def state_arrays(self) -> dict[str, Array]:
        """All arrays that are remembered, read-only, as ``"momentum/lstm/kernel"``."""
        return {place: read_only(array) for place, array in self.state.arrays().items()}

    def state_numbers(self) -> dict[str, int | float]:
        """All numbers that are remembered, JSON-able: with `state_arrays`, all there is.

        The learning rate is one of them where it is a number.
        """
        rate = {"learning_rate": self._learning_rate} if self.has_number_as_rate() else {}
        return {"iterations": self.state.iterations, **rate, **self.state.numbers}

    def restore_state(self, arrays: Mapping[str, Array], numbers: Mapping[str, Any]) -> None:
        """Go on where another optimizer was, of the same kind and with the same options.

        Args:
            arrays, numbers: what `state_arrays` and `state_numbers` gave. They are copied.

        Raises:
            ModelFormatError: they are not those of this kind of optimizer with these options.
            ShapeError: they are not of the shapes of the weights that this optimizer knows.
        """
        kept = sorted_by_weight(arrays, self._kinds())
        counted = self._checked_numbers(numbers)
        for name, slots in self.state.slots.items():
            for kind, array in kept.get(name, {}).items():
                known = {**slots, **self.state.arrays_of(name)}[kind]
                if array.shape != known.shape:
                    raise ShapeError(
                        f"the state of the optimizer has {kind}/{name} of shape {array.shape}, and "
                        f"the weight has {known.shape}: it was saved with another model"
                    )
        averages, waiting = (
            {name: arrays.pop(kind) for name, arrays in kept.items() if kind in arrays}
            for kind in (AVERAGE, WAITING)
        )
        if self.has_number_as_rate():
            self._learning_rate = counted.pop("learning_rate")
        iterations = int(counted.pop("iterations"))
        self.state = State(iterations, kept, waiting, averages, counted)

    def _kinds(self) -> tuple[str, ...]:
        """What is remembered about each weight, all kinds of it."""
        slots = [slot for group in self.slot_groups() for slot in group]
        averages = [AVERAGE] if self.use_ema else []
        return (*averages, *([WAITING] if self.gradient_accumulation_steps else []), *slots)

    def _checked_numbers(self, numbers: Mapping[str, Any]) -> dict[str, Any]:
        if set(numbers) != set(self.state_numbers()):
            raise ModelFormatError(
                f"the state of the optimizer has the numbers {', '.join(sorted(numbers))}, and "
                f"this {type(self).__name__} has {', '.join(sorted(self.state_numbers()))}: it was "
                "saved by another kind of optimizer, or with another kind of learning rate"
            )
        for name, value in numbers.items():
            whole = name == "iterations"
            if type(value) is not int and (whole or type(value) is not float):
                raise ModelFormatError(f"the state of the optimizer has {name}={value!r}")
        if numbers["iterations"] < 0:
            raise ModelFormatError(f"the optimizer cannot have made {numbers['iterations']} steps")
        return dict(numbers)

    # As Keras lists it.

    @property
    def variables(self) -> list[Array]:
        """All that is remembered as arrays, in the order in which Keras lists and saves it."""
        return self._variables(self.floatx)

    def _variables(self, dtype: np.dtype[Any]) -> list[Array]:
        arrays, numbers = self.state_arrays(), self.state_numbers()
        dtypes = {"iterations": np.dtype("int64"), "learning_rate": dtype}
        common = next(iter(arrays.values()), np.empty(0, dtype)).dtype  # that of the first weight
        return [
            arrays[p] if p in arrays else np.asarray(numbers[p], dtypes.get(p, common))
            for p in self._places()
        ]

    def _places(self) -> list[str]:
        """The names of the `variables`, as in `state_arrays` and `state_numbers`."""
        kinds, names = self._kinds(), list(self.state.slots)
        groups = [(kind,) for kind in (AVERAGE, WAITING) if kind in kinds]
        return [
            "iterations",
            *(["learning_rate"] if self.has_number_as_rate() else []),
            *(f"{k}/{n}" for group in (*groups, *self.slot_groups()) for n in names for k in group),
            *(self.first_numbers() if names else ()),
        ]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Put back what `variables` gave, as Keras' method of this name.

        Raises:
            ValueError: the optimizer does not know its weights yet, or there are too many arrays
                or too few.
            ShapeError, ModelFormatError: as `restore_state`.
        """
        if not self.built:
            raise ValueError(
                f"set_weights on a {type(self).__name__} that does not know its weights yet: call "
                "build(weights) first, or train it"
            )
        places = self._places()
        if len(weights) != len(places):
            raise ValueError(
                f"{len(weights)} arrays came for a {type(self).__name__} that has {len(places)}: "
                f"{', '.join(places)}"
            )
        given = dict(zip(places, map(np.asarray, weights), strict=True))
        numbers = {p: given.pop(p).item() for p in places if p in self.state_numbers()}
        self.restore_state(given, numbers)

    def size(self, floatx: str) -> tuple[int, int]:
        """How many numbers it remembers, and in how many bytes, as Keras counts its `variables`.

        The step count is one of them, in 8 bytes, and the learning rate another, in ``floatx``.
        """
        variables = self._variables(np.dtype(floatx))
        return sum(v.size for v in variables), sum(v.nbytes for v in variables)


def _zeros(weights: Mapping[str, Array]) -> dict[str, Array]:
    return {name: np.zeros(w.shape, w.dtype) for name, w in weights.items()}
