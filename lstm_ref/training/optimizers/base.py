"""A step of training, from gradients to new weights: what all optimizers share.

The order is Keras' (``keras/src/optimizers/base_optimizer.py``)::

    accumulate gradients → clip → decay weights → update → average → iterations + 1

The constraints of weights come after it, in the model.

Keras on TensorFlow rounds some constants to float32 on their way into a float64 computation: the
weight decay, what a schedule gives, and those that an update rule names. The same is done here,
so that float64 trajectories agree to the last digits; without it they part at 1e-7.
"""

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.errors import ShapeError
from lstm_ref.layers.rounding import through_float32
from lstm_ref.training.optimizers import clipping
from lstm_ref.training.optimizers.blocks import in_blocks
from lstm_ref.training.optimizers.memory import Memory
from lstm_ref.training.optimizers.options import Rate
from lstm_ref.training.optimizers.state import Slots, State, Step

__all__ = ["Now", "Optimizer", "Rate"]

Arrays = dict[str, Array]
"""Weights or what belongs to them, by the names of the weights."""


class Now(NamedTuple):
    """What is the same for all weights of one dtype in one update.

    Attributes:
        η: the learning rate, a NumPy number of this dtype.
        t: the number of the update, from 1.
        dtype: of the weights.
        numbers: what the rule remembers about all weights together: as of the last update where
            the next is computed, and as of this one afterwards.
    """

    η: Any
    t: int
    dtype: np.dtype[Any]
    numbers: Mapping[str, float]


class Optimizer(Memory):
    """How gradients become new weights. The subclasses are the update rules.

    An update rule is three methods: `slot_groups` says what it remembers about a weight,
    `constants` which numbers of its formula are the same for all weights, and `update` is the
    formula. All of it is pure: state and weights are handed in, new ones out.

    Args:
        learning_rate, common: see `Options`.
    """

    # An update rule.

    def constants(self, now: Now) -> Any:
        """The numbers of the formula that are the same for all weights of a dtype."""
        raise NotImplementedError

    def update(self, w: Array, g: Array, slots: Slots, constants: Any) -> tuple[Array, Slots]:
        """The new weight and what is remembered about it.

        Every number of the results is computed from the same place of w, g and the slots, so that
        a large weight can be cut in pieces.

        Args:
            w, g: a weight and its gradient, of one shape and dtype.
            slots: what was remembered about it.
            constants: what `constants` gave.
        """
        raise NotImplementedError

    def next_numbers(self, now: Now) -> dict[str, float]:
        """What is remembered about all weights together, as of this update."""
        return dict(now.numbers)

    # A step.

    def apply(self, weights: Mapping[str, Array], gradients: Mapping[str, Array | None]) -> Arrays:
        """`propose` and `accept`: the weights after one step, which is remembered."""
        step = self.propose(weights, gradients)
        self.accept(step)
        return step.weights

    def accept(self, step: Step) -> None:
        """Remember a step that was proposed. It is one assignment: all of it or nothing."""
        self.state = step.state

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")  # it shows in the weights
    def propose(self, weights: Mapping[str, Array], gradients: Mapping[str, Array | None]) -> Step:
        """What one step makes of the weights. Neither the optimizer nor an array is changed.

        Args:
            weights: by name, float32 or float64.
            gradients: by the same names, each of its weight's shape. A weight whose gradient is
                None or missing stays as it is.

        Raises:
            ShapeError: a gradient of another shape than its weight, or weights of other shapes
                than those that this optimizer has trained so far.
            ValueError: no gradient at all, or one for a weight that is not there.

        Warns:
            UserWarning: some weights have no gradient.
        """
        if not weights:
            return Step({}, self.state)
        state = self.state_for(weights)
        given = _checked(weights, gradients)
        new, slots, waiting, averages = dict(weights), state.slots, state.waiting, state.averages
        numbers, done = state.numbers, self.updates(state.iterations)

        if self.gradient_accumulation_steps is not None:
            given, waiting = self._accumulated(given, state)
        if given:
            new, slots, numbers = self._updated(new, self._clipped(given), state)
        if self.use_ema:
            averages = self._averaged(new, averages, is_first=done == 0)
            frequency = self.ema_overwrite_frequency
            if frequency is not None and (done + 1) % frequency == 0:
                new = {name: averages[name].copy() for name in new}
        return Step(new, State(state.iterations + 1, slots, waiting, averages, numbers))

    def finalized(self, weights: Mapping[str, Array]) -> Arrays:
        """What the weights become when ``fit`` has ended: with `use_ema`, their averages."""
        averages = self.state.averages
        return {n: averages[n].copy() if n in averages else w for n, w in weights.items()}

    # Its parts.

    def _accumulated(self, given: Arrays, state: State) -> tuple[Arrays, Arrays]:
        """(the gradients to apply now, none or the mean of those that waited; what waits then)."""
        steps = self.gradient_accumulation_steps
        assert steps is not None
        sums = {name: g + state.waiting[name] for name, g in given.items()}
        if (state.iterations + 1) % steps:
            return {}, {**state.waiting, **sums}
        mean = {name: total / steps for name, total in sums.items()}
        return mean, {name: np.zeros(w.shape, w.dtype) for name, w in state.waiting.items()}

    def _clipped(self, gradients: Arrays) -> Arrays:
        """The gradients within the limits that were set."""
        if self.clipnorm is not None:
            return {name: clipping.by_norm(g, self.clipnorm) for name, g in gradients.items()}
        if self.clipvalue is not None:
            return {name: clipping.by_value(g, self.clipvalue) for name, g in gradients.items()}
        if self.global_clipnorm is not None:
            return clipping.by_global_norm(gradients, self.global_clipnorm)
        return gradients

    def _updated(
        self, weights: Arrays, gradients: Arrays, state: State
    ) -> tuple[Arrays, dict[str, Slots], dict[str, float]]:
        """Weight decay w ← w − w·λ·η, then the rule; (weights, slots, numbers) as of now."""
        rate, t = self.rate_at(state.iterations), self.updates(state.iterations) + 1
        first = next(iter(weights.values())).dtype
        numbers = self.next_numbers(Now(first.type(rate), t, first, state.numbers))
        new, slots = dict(weights), dict(state.slots)
        by_dtype: dict[np.dtype[Any], tuple[Any, Any]] = {}
        for name, g in gradients.items():
            w = weights[name]
            if w.dtype not in by_dtype:
                η = w.dtype.type(rate)
                by_dtype[w.dtype] = η, self.constants(Now(η, t, w.dtype, numbers))
            η, constants = by_dtype[w.dtype]
            if self.weight_decay is not None and self.decays(name):
                w = w - w * through_float32(self.weight_decay, w.dtype) * η
            new[name], slots[name] = in_blocks(self.update, w, g, slots[name], constants)
        return new, slots, numbers

    def _averaged(self, weights: Arrays, averages: Mapping[str, Array], is_first: bool) -> Arrays:
        """a ← μ·a + (1 − μ)·w, with μ = 0 until the first update is done."""
        new = dict(averages)
        for name, w in weights.items():
            μ = w.dtype.type(0 if is_first else self.ema_momentum)
            new[name] = μ * averages[name] + (1 - μ) * w
        return new


def _checked(weights: Mapping[str, Array], gradients: Mapping[str, Array | None]) -> Arrays:
    """The gradients that are there, each in the dtype of its weight."""
    given: Arrays = {}
    for name, w in weights.items():
        g = gradients.get(name)
        if g is None:
            continue
        if g.shape != w.shape:
            raise ShapeError(
                f"the weight {name} has shape {w.shape}, and its gradient has {g.shape}"
            )
        given[name] = g if g.dtype == w.dtype else g.astype(w.dtype)
    if len(given) < len(weights) or len(gradients) > len(weights):
        _complain(weights, gradients, given)
    return given


def _complain(
    weights: Mapping[str, Array], gradients: Mapping[str, Array | None], given: Arrays
) -> None:
    if strangers := [name for name in gradients if name not in weights]:
        raise ValueError(
            f"a gradient came for {strangers[0]!r}, and the weights are {', '.join(weights)}"
        )
    missing = ", ".join(name for name in weights if name not in given)
    if not given:
        raise ValueError(f"no gradient came for any weight: {missing}")
    warnings.warn(f"no gradient came for {missing}: they stay as they are", stacklevel=4)
