"""From the weights and the input to the loss: where the first number is that is not finite."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from lstm_ref.conventions import GATES, Array, split_gates
from lstm_ref.layers import RNN, Bidirectional, Dense, Layer, TimeDistributed
from lstm_ref.layers.stack import Pass
from lstm_ref.training.batches import Batch
from lstm_ref.training.diagnosis.causes import (
    INPUT,
    SMALLER_STEPS,
    WEIGHT,
    forward_cause,
    largest,
)
from lstm_ref.training.diagnosis.origin import Origin
from lstm_ref.training.diagnosis.search import Group, Spot, all_finite, first_of_each_row
from lstm_ref.training.losses import Loss
from lstm_ref.training.losses.base import both
from lstm_ref.training.reading import reading
from lstm_ref.training.targets import MISSING_LABEL
from lstm_ref.training.through_time import cell_runs


def explain_non_finite(model: Any, batch: Batch, loss: Loss, forward: Pass | None = None) -> str:
    """`find_non_finite` as a sentence."""
    return str(find_non_finite(model, batch, loss, forward))


@np.errstate(all="ignore")
def find_non_finite(model: Any, batch: Batch, loss: Loss, forward: Pass | None = None) -> Origin:
    """Where the first number arose that made the loss of a batch NaN or infinite.

    The rows of a batch do not touch each other before the loss, so it is looked for in the rows
    whose prediction is not finite: an infinity that an activation made harmless is no cause.

    Args:
        model: a `Sequential`, with the weights with which the batch was predicted.
        batch: its `numbers` name the rows.
        loss: of which the loss is made.
        forward: the pass that predicted the batch, with what was kept of it. Without it the batch
            is run again, a layer at a time: dropout then drops something else, and a stateful
            layer begins from the state it is in, or from zeros where that is not finite.
    """
    walk = walk_through(model, batch, loss, forward)
    value = model.judged(batch, walk.forward, loss).value
    symptom = f"the loss is {value:.3g}"
    if (weight := _weight(model, symptom)) is not None:
        return weight
    judge, y, _ = reading(walk.forward, loss)
    mask = both(walk.forward.mask, loss.measure.counted(batch.y))
    if len(rows := _rows(y, mask)) and (found := walk.first(rows)) is not None:
        return origin_of(found, symptom, batch)
    if (found_there := _in_loss(model, batch, judge, y, mask, symptom)) is not None:
        return found_there
    for layer, penalty in walk.penalties.items():
        if not math.isfinite(penalty):
            cause = "The activity_regularizer makes it of an output that is finite"
            return Origin(symptom, "activity penalty", penalty, cause, layer=layer)
    return Origin(
        symptom,
        "unknown",
        value,
        "every number is finite now that the batch was run again: what dropout dropped made the "
        "difference, or the state of a stateful layer",
    )


@dataclass(frozen=True)
class Found:
    """A number in a layer that is not finite, and why."""

    layer: Layer
    spot: Spot
    cause: str
    when: tuple[int, int]
    """The layers before it, and the groups of arrays before it in its layer."""


class Walk(NamedTuple):
    """A pass through all layers, and the first number of each row that is not finite.

    Attributes:
        forward: the pass.
        found: by row of the batch.
        penalties: on the outputs of the layers, by name.
    """

    forward: Pass
    found: Mapping[int, Found]
    penalties: Mapping[str, float]

    def first(self, rows: Array) -> Found | None:
        """That of these rows which was computed first."""
        there = [self.found[row] for row in rows if row in self.found]
        return min(there, key=lambda f: (f.when, f.spot.when, f.spot.row), default=None)


def walk_through(model: Any, batch: Batch, loss: Loss, forward: Pass | None) -> Walk:
    """The pass, looked at layer by layer; a new one where none is given."""
    if forward is not None and forward.kept:
        return _walk(model, batch, loss, forward)
    with left_as_it_was(model):
        return _walk(model, batch, loss, None)


@contextmanager
def left_as_it_was(model: Any) -> Iterator[None]:
    """What is run here begins from finite states, and leaves no trace in the model."""
    states, dropout = model.layer_states(), model.dropout_state()
    if not all_finite(states.values()):
        model.reset_states()
    try:
        yield
    finally:
        model.restore_layer_states(states)
        model.restore_dropout_state(dropout)


def _walk(model: Any, batch: Batch, loss: Loss, forward: Pass | None) -> Walk:
    found: dict[int, Found] = {}
    penalties: dict[str, float] = {}
    x, mask = batch.x, None
    logits: Array | None = None
    for n, layer in enumerate(model.layers):
        x = layer.cast(x, f"the input of layer {layer.name!r}")
        if forward is None:
            y, cache = layer.forward(x, mask, True, True)
        else:
            cache, y = forward.kept[n]
        last = n == len(model.layers) - 1
        linked = last and loss.link is not None and layer.final_activation == loss.link
        logits = layer.logits(cache) if linked else None
        penalties[layer.name] = layer.activity_penalty(y, cache)
        after = layer.compute_mask(x, mask)
        real = after if layer.makes_masks else mask
        groups = [Group({"x": x}, counted=_steps(real, x)), *_groups(layer, y, cache, linked, real)]
        for g, group in enumerate(groups):
            for spot in first_of_each_row(group):
                if spot.row not in found:
                    cause = INPUT if (n, g) == (0, 0) else forward_cause(_inner(layer), spot)
                    found[spot.row] = Found(layer, spot, cause, (n, g))
        x, mask = y, after
    if forward is None:
        forward = Pass(x, mask, [], sum(penalties.values()), logits)
    return Walk(forward, found, penalties)


def _inner(layer: Layer) -> Layer:
    """The layer that computes: what is inside a `TimeDistributed`."""
    return _inner(layer.layer) if isinstance(layer, TimeDistributed) else layer


def _groups(
    layer: Layer, y: Array, cache: Any, linked: bool, mask: Array | None
) -> Iterator[Group]:
    """What a layer computes, in the order in which it does.

    Args:
        layer, y, cache: the layer, its output and its cache.
        linked: the loss reads what the last activation was applied to.
        mask: [B,T], of the layer's input, or None.
    """
    match layer:
        case TimeDistributed():
            B, T = y.shape[:2]
            rows = y.reshape(B * T, *y.shape[2:])
            for group in _groups(layer.layer, rows, cache[1], linked, None):
                arrays = {name: a.reshape(B, T, *a.shape[1:]) for name, a in group.arrays.items()}
                yield replace(group, arrays=arrays, counted=mask)
        case RNN() | Bidirectional():
            for run in cell_runs(layer, cache):
                of_cell = run.cache
                yield Group({"h0": of_cell.h0, "c0": of_cell.c0}, run)
                gates = dict(zip(GATES, split_gates(of_cell.gates), strict=True))
                z = {f"z_{n}": z for n, z in zip(GATES, split_gates(of_cell.z), strict=True)}
                arrays = {**z, **gates, "c": of_cell.c, "h": of_cell.h}
                if of_cell.params.peephole is not None:  # o looks at c
                    later = "c", "z_o", "o", "h"
                    arrays = {n: a for n, a in arrays.items() if n not in later} | {
                        n: arrays[n] for n in later
                    }
                harmless = {f"z_{n}": n for n in GATES}
                yield Group(arrays, run, run.backwards, harmless=harmless)
        case Dense():
            z = cache.z.reshape(y.shape)
            harmless = {} if linked else {"z": "y"}
            yield Group({"z": z, "y": y}, counted=_steps(mask, y), harmless=harmless)
            return
    yield Group({"y": y}, counted=_steps(mask, y))


def _steps(mask: Array | None, array: Array) -> Array | None:
    """The mask, where it belongs to the steps of an array."""
    return mask if mask is not None and array.shape[:2] == mask.shape and array.ndim > 2 else None


def origin_of(found: Found, symptom: str, batch: Batch) -> Origin:
    """The place, with its row numbered as in the caller's data."""
    spot, run = found.spot, found.spot.group.run
    return Origin(
        symptom,
        spot.quantity,
        spot.value,
        found.cause,
        layer=found.layer.name,
        direction=None if run is None else run.direction,
        cell=None if run is None else run.cell,
        steps=spot.steps,
        row=int(batch.numbers[spot.row]),
        unit=spot.unit,
    )


def _weight(model: Any, symptom: str) -> Origin | None:
    """The first weight that is not finite."""
    return bad_entry(model.named_weights(), symptom, "weight", WEIGHT)


def bad_entry(weights: Any, symptom: str, quantity: str, cause: str) -> Origin | None:
    """The first entry that is not finite of some weights, or of what belongs to them, by name."""
    for name, weight in weights.items():
        if not (finite := np.isfinite(weight)).all():
            index = tuple(int(i) for i in np.argwhere(~finite)[0])
            layer = name.partition("/")[0]
            value = float(weight[index])
            return Origin(symptom, quantity, value, cause, layer=layer, weight=name, index=index)
    return None


def _rows(y: Array, mask: Array | None) -> Array:
    """The rows whose prediction is not finite where it counts."""
    group = Group({"y": y}, counted=_steps(mask, y))
    return np.array([spot.row for spot in first_of_each_row(group)], int)


def _in_loss(
    model: Any, batch: Batch, loss: Loss, y: Array, mask: Array | None, symptom: str
) -> Origin | None:
    """Where predictions are finite, and what is made of them is not."""
    for quantity, array, cause in (
        ("target", batch.y, MISSING_LABEL),
        ("sample_weight", batch.weight, "The sample weights hold it"),
    ):
        if array is not None:
            array = array if array.ndim == y.ndim else array[..., None]
            group = Group({quantity: array}, counted=_steps(mask, array))
            for spot in first_of_each_row(group):
                row = int(batch.numbers[spot.row])
                unit = spot.unit if array.shape[-1] > 1 else None
                return Origin(
                    symptom, quantity, spot.value, cause, steps=spot.steps, row=row, unit=unit
                )
    if not math.isfinite(value := loss.value(batch.y, y, batch.weight, mask)):
        found = _in_a_step(batch, loss, y, mask, Origin(symptom, "loss", value, ""))
        try:
            loss.check_target(batch.y, y.shape, mask, batch.numbers)
        except ValueError as error:
            return replace(found, quantity="label", cause=str(error))
        return found
    for layer in model.layers:
        for name, regularizer in layer.regularized().items():
            if not math.isfinite(value := regularizer(layer.params[name])):
                whole = f"{layer.name}/{name}"
                cause = f"The weight is up to {largest(layer.params[name]):.3g}: {SMALLER_STEPS}"
                return Origin(symptom, "penalty", value, cause, layer=layer.name, weight=whole)
    return None


def _in_a_step(batch: Batch, loss: Loss, y: Array, mask: Array | None, whole: Origin) -> Origin:
    """The first row and step whose own loss is not finite."""

    def value(rows: slice, steps: slice) -> float:
        at = (rows, steps) if y.ndim > 2 else rows
        weight, m = (None if a is None else a[at] for a in (batch.weight, mask))
        return loss.value(batch.y[at], y[at], weight, m)

    everything = slice(None)
    for row in range(len(y)):
        rows = slice(row, row + 1)
        if math.isfinite(value(rows, everything)):
            continue
        steps: tuple[int, ...] = ()
        at: tuple[Any, ...] = (row,)
        if y.ndim > 2:
            bad = (t for t in range(y.shape[1]) if not math.isfinite(value(rows, slice(t, t + 1))))
            steps = tuple(islice(bad, 1))
            at = (row, *steps)
        cause = (
            f"The prediction there is up to {largest(y[at]):.3g} and the target up to "
            f"{largest(batch.y[at]):.3g}, and what the loss makes of them is too large for "
            f"{y.dtype}, or has no value: {SMALLER_STEPS}"
        )
        return replace(whole, cause=cause, steps=steps, row=int(batch.numbers[row]))
    return replace(
        whole, cause=f"That of every row is finite, and their sum is too large for {y.dtype}"
    )
