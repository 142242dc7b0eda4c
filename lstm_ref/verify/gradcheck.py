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
from typing import Any, overload

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.errors import ShapeError, UnsupportedError
from lstm_ref.layers import Layer
from lstm_ref.model import Sequential
from lstm_ref.training.batches import Batch
from lstm_ref.training.bptt import TruncatedBPTT
from lstm_ref.training.through_time import way_back
from lstm_ref.verify.differences import Slope, compare_slope
from lstm_ref.verify.in_float64 import in_float64

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


@overload
def gradcheck(
    model_or_function: Sequential,
    x: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    inputs: bool = False,
    rtol: float = 1e-6,
    elementwise: int = 500,
    directions: int = 3,
    seed: int = 0,
) -> GradientCheck: ...


@overload
def gradcheck(
    model_or_function: LossAndGradients,
    x: Weights,
    /,
    *,
    rtol: float = 1e-6,
    elementwise: int = 500,
    directions: int = 3,
    seed: int = 0,
) -> GradientCheck: ...


def gradcheck(
    model_or_function: Any,
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    inputs: bool = False,
    rtol: float = 1e-6,
    elementwise: int = 500,
    directions: int = 3,
    seed: int = 0,
) -> GradientCheck:
    """Compare gradients with finite differences of the loss they are said to belong to.

    ``gradcheck(model, x, y)`` checks a compiled model: a float64 copy of it, with the same weights
    and the same code; the model stays as it is. A stateful model is checked from a zero state, and
    dropout drops the same for every difference.

    ``gradcheck(function, weights)`` checks a function of one's own that takes weights by name and
    gives a loss and its gradients, see `gradcheck_function`.

    Args:
        model_or_function: a model, built or buildable from x, or a function.
        x, y, sample_weight: as ``fit`` takes them; one batch. A few rows and steps are enough, and
            quick. For a function, the weights in place of x, and nothing else.
        inputs: check the gradient on x as well, under the name ``"x"``.
        rtol: the relative error that counts as agreement.
        elementwise: tensors of up to so many entries are checked entry by entry.
        directions: how many random directions for each larger tensor.
        seed: of the directions.

    Returns:
        The result, whose ``ok`` says whether all agree, and whose text names the worst entry.

    Raises:
        ShapeError: x, y or sample_weight do not fit the model.
        ValueError: the model is not compiled, or no weight is trainable.
        UnsupportedError: truncated backpropagation, whose gradient is no slope; `inputs` that are
            whole numbers.
        TypeError: neither a model nor a function.
    """
    how: dict[str, Any] = {
        "rtol": rtol, "elementwise": elementwise, "directions": directions, "seed": seed,
    }  # fmt: skip
    if isinstance(model_or_function, Sequential):
        loss_and_gradients, start = _of_model(model_or_function, x, y, sample_weight, inputs)
        return gradcheck_function(loss_and_gradients, start, **how)
    if not callable(model_or_function) or isinstance(model_or_function, Layer):
        raise TypeError(
            f"gradcheck checks a Sequential, or a function of weights by name that gives a loss "
            f"and its gradients, and {model_or_function!r} came: a layer alone is checked as "
            "Sequential([layer]), compiled with a loss"
        )
    if y is not None or sample_weight is not None or inputs:
        raise TypeError(
            "gradcheck(function, weights) takes no y, sample_weight or inputs: what a function "
            "computes with is its own, and a gradient on it is checked as one of the weights"
        )
    return gradcheck_function(model_or_function, x, **how)


def _of_model(
    model: Sequential, x: Any, y: Any, sample_weight: Any, inputs: bool
) -> tuple[LossAndGradients, Weights]:
    """The loss of a model as a function of its weights, and of x if that is wanted; and these."""
    model.compiled("gradcheck")
    if isinstance(model.bptt, TruncatedBPTT):
        raise UnsupportedError(
            f"gradcheck: the model was compiled with bptt={model.bptt}, and the gradient of "
            "truncated backpropagation is not the slope of the loss: it leaves out what flows back "
            "further. Compile the model without bptt to check its layers"
        )
    batch = model.batch("gradcheck", x, y, sample_weight)  # builds, and raises what does not fit
    copy = in_float64(model)

    def of_weights(weights: Weights, x: Any = x) -> tuple[float, Weights]:
        _begin(copy, weights)
        return copy.loss_and_gradients(x, y, sample_weight)

    if not inputs:
        return of_weights, copy.trainable_params()

    first = copy.layers[0]
    if batch.x.dtype.kind != "f":
        raise UnsupportedError(
            f"gradcheck(inputs=True): layer {first.name!r} reads whole numbers, which have no "
            "gradient"
        )
    batch = copy.batch("gradcheck", x, y, sample_weight)
    real: Any = True
    if first.makes_masks:  # what is padding stays padding, whatever is added to it
        real = first.compute_mask(batch.x)[..., None]

    def of_weights_and_x(values: Weights) -> tuple[float, Weights]:
        weights = {name: value for name, value in values.items() if name != "x"}
        moved = batch._replace(x=np.where(real, values["x"], batch.x))
        value, gradients = of_weights(weights, moved.x)
        _begin(copy, weights)
        return value, {**gradients, "x": _input_gradient(copy, moved)}

    return of_weights_and_x, {**copy.trainable_params(), "x": np.where(real, batch.x, 0.0)}


def _input_gradient(model: Sequential, batch: Batch) -> Array:
    """The gradient of the loss on the input of the first layer."""
    _, loss = model.compiled("gradcheck")
    forward = model.run(batch.x, training=True, keep_cache=True, link=loss.link)
    *_, first = way_back(model, batch, loss, forward)
    return first.d_x


def _begin(model: Sequential, weights: Weights) -> None:
    """Make the next loss a function of these weights: from zero states, dropping the same."""
    model.reset_states()
    model.assign_params(weights)
    model.restart_dropout()


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
