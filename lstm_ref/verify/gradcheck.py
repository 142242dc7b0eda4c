"""The gradient that a model computes, against finite differences of its loss.

Backward passes are where LSTMs written by hand go wrong, and a wrong gradient still trains, only
worse. The loss itself is the judge here: moving a weight a little must change the loss by as much
as the gradient says. Everything is done in float64, where differences give ten digits.

Small tensors are checked entry by entry. Large ones along random directions, which costs a few
losses however large the tensor is, and meets every entry; when a direction disagrees, it is halved
until the entry is found.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.errors import ShapeError
from lstm_ref.formats import ModelRecord
from lstm_ref.model import Sequential
from lstm_ref.verify.differences import Slope, compare_slope

Weights = Mapping[str, Array]
LossAndGradients = Callable[[Weights], tuple[float, Weights]]

Comparison = tuple[tuple[int, ...] | None, float, Slope]
"""Where (None for a direction through all entries), the slope claimed, and how it compared."""

# Gradients are compared relative to at least this part of the largest in their tensor: what
# backward itself loses to rounding, since its sums are as large as that.
SMALLEST = 1e-9


@dataclass(frozen=True)
class TensorCheck:
    """How one weight's gradient compared, and where it compared worst."""

    name: str
    """``"lstm/kernel"``"""
    shape: tuple[int, ...]
    elementwise: bool
    """Entry by entry, or along random directions."""
    checked: int
    """Entries or directions compared."""
    kinks: int
    """Of these, how many met a kink of the loss (see `lstm_ref.verify.differences`): there two
    slopes are right, and the gradient was between them."""
    worst_relative_error: float
    index: tuple[int, ...] | None
    """The entry that compared worst; None where a direction did, and agreed."""
    analytic: float
    """The gradient as computed, there."""
    numeric: float
    """The gradient by differences, there."""
    ok: bool

    @property
    def layer(self) -> str:
        """``"lstm"`` of ``"lstm/kernel"``; empty for a weight without a layer."""
        return self.name.rpartition("/")[0]

    @property
    def tensor(self) -> str:
        """``"kernel"`` of ``"lstm/kernel"``."""
        return self.name.rpartition("/")[2]

    @property
    def place(self) -> str:
        """``"lstm/kernel[0, 3]"``."""
        return self.name if self.index is None else f"{self.name}{list(self.index)}"


@dataclass(frozen=True)
class GradientCheck:
    """The comparison of all weights' gradients. ``print`` it to read it."""

    tensors: tuple[TensorCheck, ...]
    loss: float
    rtol: float

    @property
    def ok(self) -> bool:
        """Whether every gradient agreed."""
        return all(tensor.ok for tensor in self.tensors)

    @property
    def worst(self) -> TensorCheck:
        """The tensor that compared worst; one that disagrees before any that does not."""
        return max(self.tensors, key=lambda t: (not t.ok, t.worst_relative_error))

    def __str__(self) -> str:
        worst = self.worst
        if self.ok:
            title = (
                "gradients agree with finite differences: worst relative error "
                f"{worst.worst_relative_error:.1e} in {worst.name}, {self.rtol:.0e} allowed"
            )
        else:
            title = (
                f"GRADIENTS DIFFER from finite differences, most in {worst.place}: "
                f"{worst.analytic:.9g} computed, {worst.numeric:.9g} by differences, relative "
                f"error {worst.worst_relative_error:.1e}, {self.rtol:.0e} allowed"
            )
        return "\n".join([title, *self._table()])

    def _table(self) -> Iterator[str]:
        width = max(len("weight"), *(len(tensor.place) for tensor in self.tensors))
        yield f"  {'weight':{width}}  {'shape':>12}  {'compared':>14}  {'worst':>7}"
        for t in self.tensors:
            one, many = ("entry", "entries") if t.elementwise else ("direction", "directions")
            how = f"{t.checked} {one if t.checked == 1 else many}"
            kinks = f"  {t.kinks} at a kink" if t.kinks else ""
            shape = "×".join(map(str, t.shape)) or "1"
            yield (
                f"  {t.place if not t.ok else t.name:{width}}  {shape:>12}  {how:>14}  "
                f"{t.worst_relative_error:7.1e}{kinks}{'' if t.ok else '  DIFFERS'}"
            )


def gradcheck(
    model: Sequential,
    x: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    rtol: float = 1e-6,
    elementwise: int = 500,
    directions: int = 3,
    seed: int = 0,
) -> GradientCheck:
    """Compare the gradient of a compiled model's loss on (x, y) with finite differences.

    A float64 copy of the model is checked, with the same weights and the same code; the model
    stays as it is. A stateful model is checked from a zero state.

    Args:
        model: compiled, and built or buildable from x.
        x, y, sample_weight: as ``fit`` takes them; one batch. A few rows and steps are enough, and
            quick.
        rtol: the relative error that counts as agreement.
        elementwise: tensors of up to so many entries are checked entry by entry.
        directions: how many random directions for each larger tensor.
        seed: of the directions.

    Returns:
        The result, whose ``ok`` says whether all agree, and whose text names the worst entry.

    Raises:
        ShapeError: x, y or sample_weight do not fit the model.
        ValueError: the model is not compiled, or no weight is trainable.
    """
    model.compiled("gradcheck")
    model.data("gradcheck", x, y, sample_weight)  # builds the model, and raises what does not fit
    copy = _in_float64(model)

    def loss_and_gradients(weights: Weights) -> tuple[float, Weights]:
        copy.reset_states()
        copy.assign_params(weights)
        copy.restart_dropout()  # the loss is a function of the weights when it drops the same
        return copy.loss_and_gradients(x, y, sample_weight)

    return gradcheck_function(
        loss_and_gradients,
        copy.trainable_params(),
        rtol=rtol,
        elementwise=elementwise,
        directions=directions,
        seed=seed,
    )


def gradcheck_function(
    loss_and_gradients: LossAndGradients,
    weights: Weights,
    *,
    rtol: float = 1e-6,
    elementwise: int = 500,
    directions: int = 3,
    seed: int = 0,
) -> GradientCheck:
    """Compare the gradients that a function claims with finite differences of its loss.

    Args:
        loss_and_gradients: takes weights by name; gives a number, and its gradient on each weight
            by the same name. Computes in float64.
        weights: where to check, float64 arrays by name.
        rtol, elementwise, directions, seed: as in `gradcheck`.

    Raises:
        ShapeError: gradients that do not match the weights, by name or shape.
        ValueError: no weights.
    """
    if not weights:
        raise ValueError("there is no trainable weight, so no gradient to check")
    weights = {name: np.asarray(weight, np.float64) for name, weight in weights.items()}
    loss, gradients = loss_and_gradients(weights)
    _check_shapes(weights, gradients)
    rng = np.random.default_rng(seed)
    tensors = []
    for name, weight in weights.items():
        along = _Along(loss_and_gradients, weights, name, gradients[name], rtol)
        if weight.size <= elementwise:
            tensors.append(_check_entries(along, np.ndindex(weight.shape)))
        else:
            tensors.append(_check_directions(along, directions, elementwise, rng))
    return GradientCheck(tuple(tensors), loss, rtol)


class _Along:
    """Slopes of the loss along directions of one weight, beside those its gradient claims."""

    def __init__(
        self,
        loss_and_gradients: LossAndGradients,
        weights: Weights,
        name: str,
        gradient: Array,
        rtol: float,
    ) -> None:
        self.loss_and_gradients, self.weights = loss_and_gradients, weights
        self.name, self.weight, self.rtol = name, weights[name], rtol
        self.gradient = np.asarray(gradient, np.float64)
        finite = np.abs(self.gradient[np.isfinite(self.gradient)])
        self.floor = SMALLEST / rtol * float(np.max(finite, initial=0.0))

    def compare(self, direction: Array, scale: float = 1.0) -> tuple[float, Slope]:
        """The slope claimed along ``direction``, and the comparison."""

        def loss(step: float) -> float:
            moved = {**self.weights, self.name: self.weight + step * direction}
            return self.loss_and_gradients(moved)[0]

        along = direction != 0  # so that NaN in one entry is not NaN in all
        claimed = float(np.sum(self.gradient[along] * direction[along]))
        size = float(np.linalg.norm(direction))
        return claimed, compare_slope(loss, claimed, self.rtol, self.floor * size, scale)

    def entry(self, index: tuple[int, ...]) -> tuple[float, Slope]:
        """The comparison for one entry."""
        direction = np.zeros_like(self.weight)
        direction[index] = 1.0
        return self.compare(direction, scale=max(1.0, abs(float(self.weight[index]))))

    def disagrees(self, slope: Slope) -> bool:
        """Whether the comparison is bad; NaN is."""
        return not slope.kink and not slope.relative_error <= self.rtol

    def result(
        self,
        compared: list[Comparison],
        elementwise: bool,
    ) -> TensorCheck:
        """What the comparisons amount to."""
        kinks = sum(slope.kink for _, _, slope in compared)
        counted = [entry for entry in compared if not entry[2].kink] or compared[:1]
        none = (None, 0.0, Slope(0.0, 0.0, kink=False))  # a tensor without entries
        index, claimed, slope = max(counted, key=lambda e: e[2].relative_error, default=none)
        return TensorCheck(
            name=self.name,
            shape=self.weight.shape,
            elementwise=elementwise,
            checked=len(compared),
            kinks=kinks,
            worst_relative_error=0.0 if slope.kink else slope.relative_error,
            index=index,
            analytic=claimed,
            numeric=slope.numeric,
            ok=not any(self.disagrees(slope) for _, _, slope in compared),
        )


def _check_entries(along: _Along, entries: Iterable[tuple[int, ...]]) -> TensorCheck:
    """Entries one by one."""
    compared: list[Comparison] = [(index, *along.entry(index)) for index in entries]
    return along.result(compared, elementwise=True)


def _check_directions(
    along: _Along, directions: int, entries: int, rng: np.random.Generator
) -> TensorCheck:
    """Random directions through all entries; the entry at fault where one disagrees.

    A direction through several kinks at once says little, since it passes some upwards and some
    downwards. Where there is a kink, ``entries`` random ones are checked one by one instead.
    """
    compared: list[Comparison] = []
    for _ in range(directions):
        direction = rng.normal(size=along.weight.shape)
        direction /= math.sqrt(direction.size)  # of length about 1, as a single entry's is
        claimed, slope = along.compare(direction)
        compared.append((None, claimed, slope))
        kink = slope.kink
        if along.disagrees(slope):
            index = _culprit(along, direction)
            entry = (index, *along.entry(index))
            kink = entry[2].kink
            if along.disagrees(entry[2]):  # else many are wrong, each too little to be seen
                compared[-1] = entry
        if kink:
            chosen = rng.choice(direction.size, size=min(entries, direction.size), replace=False)
            return _check_entries(along, [_index(n, direction) for n in chosen])
        if along.disagrees(compared[-1][2]):
            break
    return along.result(compared, elementwise=False)


def _culprit(along: _Along, direction: Array) -> tuple[int, ...]:
    """The entry that makes a direction disagree, by halving."""
    chosen = np.arange(direction.size)
    while len(chosen) > 1:
        halves = np.array_split(chosen, 2)
        chosen = max(halves, key=lambda half: _distance(along, direction, half))
    return _index(chosen[0], direction)


def _index(n: int, array: Array) -> tuple[int, ...]:
    """Where the n-th entry stands."""
    return tuple(int(i) for i in np.unravel_index(n, array.shape))


def _distance(along: _Along, direction: Array, entries: Array) -> float:
    """How far claimed and found slope are apart along some of a direction's entries."""
    part = np.zeros_like(direction)
    part.flat[entries] = direction.flat[entries]
    claimed, slope = along.compare(part)
    distance = abs(claimed - slope.numeric)
    return distance if math.isfinite(distance) else math.inf


def _check_shapes(weights: Weights, gradients: Weights) -> None:
    """Raise ShapeError unless there is one gradient for each weight, of its shape."""
    wanted = {name: weight.shape for name, weight in weights.items()}
    given = {name: np.shape(gradient) for name, gradient in gradients.items()}
    if wanted != given:
        name = next(n for n in (*wanted, *given) if wanted.get(n) != given.get(n))
        raise ShapeError(
            f"the weight {name!r} has shape {wanted.get(name, 'none')}, and its gradient "
            f"{given.get(name, 'none')}: one gradient for each weight is needed, of its shape"
        )


def _in_float64(model: Sequential) -> Sequential:
    """A copy of a built, compiled model that computes in float64."""
    record = model.to_record()
    config = {
        **record.config,
        "config": _with_float64(record.config["config"]),
        "compile": None,
    }
    weights = {name: weight.astype(np.float64) for name, weight in record.weights.items()}
    copy = Sequential.from_record(ModelRecord(config, weights))
    copy.compile(loss=model.loss)
    return copy


def _with_float64(config: Any) -> Any:
    """A config with float64 in place of every dtype, those of layers inside layers included.

    An `Input` of whole numbers stays one.
    """
    if isinstance(config, list):
        return [_with_float64(entry) for entry in config]
    if not isinstance(config, dict):
        return config
    return {
        key: "float64" if key == "dtype" and "int" not in str(value) else _with_float64(value)
        for key, value in config.items()
    }
