"""The gradients on the states of an LSTM, one time step at a time.

Training needs the gradients on the weights, and keeps those on h_t and c_t only as long as it takes
to get there. Here they are kept, for those who look at how a gradient travels: which fades, which
explodes, and where one stops being a number. This is the specification's backward pass, step by
step, on the cache of a forward pass by whichever backend.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lstm_ref.backend import lstm_backward
from lstm_ref.conventions import Array, split_gates, split_peepholes
from lstm_ref.layers import RNN, Bidirectional, Layer, TimeDistributed
from lstm_ref.layers.stack import Backward, Pass
from lstm_ref.spec.activations import activate, activation_derivative
from lstm_ref.spec.cell import cell_backward
from lstm_ref.spec.lstm import before_each_step
from lstm_ref.spec.parameters import LSTMCache
from lstm_ref.training.batches import Batch
from lstm_ref.training.losses import Loss
from lstm_ref.training.reading import reading


@dataclass(frozen=True)
class CellRun:
    """One LSTM cell that ran over a batch inside a layer.

    Attributes:
        direction: "forward" or "backward" inside a `Bidirectional`, else None.
        cell: its name where several stand on top of each other, else None.
        backwards: whether it read the layer's input from the last step to the first.
        cache: of its forward pass, time in the order of processing.
    """

    direction: str | None
    cell: str | None
    backwards: bool
    cache: LSTMCache

    @property
    def place(self) -> tuple[str, ...]:
        """The direction and the cell, as far as there are such."""
        return tuple(part for part in (self.direction, self.cell) if part is not None)


class StateGradients(NamedTuple):
    """Gradients of the loss, time in the order of processing.

    Attributes:
        d_h: [B,T,P], on h_t: through the output at step t and through all steps after it.
        d_c: [B,T,H], on c_t: through h_t and through all steps after it [EQ 8].
        d_z: [B,T,4H], on what goes into the activations; 0 at masked steps.

    At a masked step, where nothing is computed, d_h and d_c are those on the state that holds
    through it.
    """

    d_h: Array
    d_c: Array
    d_z: Array


def way_back(model: Any, batch: Batch, loss: Loss, forward: Pass) -> Iterator[Backward]:
    """The backward pass of a `Sequential`, a layer at a time from the last to the first.

    Args:
        model: with the weights of the forward pass.
        batch, loss: whose gradient it is.
        forward: with what was kept of it.
    """
    judge, of, from_logits = reading(forward, loss)
    d = judge.gradient(batch.y, of, batch.weight, forward.mask)
    back: Iterator[Backward] = model.backward_pass(d, forward.kept, from_logits)
    return back


def cell_runs(layer: Layer, cache: Any) -> list[CellRun]:
    """The cells inside a layer, in the order in which they run; none in a layer without."""
    return [run for run, _ in _cells(layer, None, cache)][::-1]


def cell_gradients(
    layer: Layer, d_y: Array, cache: Any
) -> Iterator[tuple[CellRun, StateGradients]]:
    """The gradients on the states of each cell inside a layer, in the order of the way back.

    Args:
        layer: of any kind; one without cells gives nothing.
        d_y: the gradient on its output.
        cache: of its forward pass.
    """
    for run, d_hs in _cells(layer, d_y, cache):
        yield run, state_gradients(d_hs, run.cache)


def _cells(layer: Layer, d_y: Any, cache: Any) -> Iterator[tuple[CellRun, Any]]:
    """Each cell, the last to run first, with the gradient on all its outputs (None without d_y)."""
    match layer:
        case RNN():
            several = len(layer.cells) > 1
            d_hs = None if d_y is None else layer.gradient_on_outputs(d_y, None, cache[-1])[0]
            for cell, of_cell in zip(reversed(layer.cells), reversed(cache), strict=True):
                name = cell.name if several else None
                yield CellRun(None, name, layer.go_backwards, of_cell), d_hs
                if d_hs is not None and of_cell is not cache[0]:
                    d_hs = lstm_backward(d_hs, None, None, of_cell).d_x
        case Bidirectional():
            d_n = (None, None) if d_y is None else layer.gradients_of_outputs(d_y, cache)
            for n, name in reversed(list(enumerate(("forward", "backward")))):
                for run, d_hs in _cells(layer.directions[n], d_n[n], cache.caches[n]):
                    yield CellRun(name, run.cell, run.backwards, run.cache), d_hs
        case TimeDistributed():  # which gives its layer B·T rows
            rows = None if d_y is None else d_y.reshape(-1, *d_y.shape[2:])
            yield from _cells(layer.layer, rows, cache[1])


def state_gradients(d_hs: Array, cache: LSTMCache) -> StateGradients:
    """The gradients on every h_t, c_t and z_t.

    Args:
        d_hs: [B,T,P], those on the outputs, in the order of processing.
        cache: of the forward pass.
    """
    params, config, dropout = cache.params, cache.config, cache.dropout
    φ_h = config.activation_of_output
    d_y = on_the_step_that_gave_it(d_hs, cache)
    d_h, d_c, d_z = (np.zeros_like(array) for array in (cache.h, cache.c, cache.z))
    c_prev = before_each_step(cache.c0, cache.c)
    d_h_t, d_c_t = np.zeros_like(cache.h0), np.zeros_like(cache.c0)
    for t in reversed(range(d_hs.shape[1])):
        c, z, gates = cache.c[:, t], cache.z[:, t], cache.gates[:, t]
        d_h_t = d_h_t + d_y[:, t]  # [EQ 17]
        d_z_t, d_h_prev, d_c_prev = cell_backward(
            d_h_t, d_c_t, c_prev[:, t], c, z, gates, params, config, dropout
        )
        # What cell_backward has in between: c_t goes into h_t, and into o through a peephole.
        _, _, _, o = split_gates(gates)
        d_q = d_h_t if params.projection is None else d_h_t @ params.projection.T
        d_c_real = d_c_t + d_q * o * activation_derivative(φ_h, c, activate(φ_h, c))  # [EQ 8]
        if params.peephole is not None:
            d_c_real = d_c_real + split_gates(d_z_t)[3] * split_peepholes(params.peephole)[2]

        if cache.mask is None:
            d_h[:, t], d_c[:, t], d_z[:, t] = d_h_t, d_c_real, d_z_t
            d_h_t, d_c_t = d_h_prev, d_c_prev
        else:
            m = cache.mask[:, t, None]
            d_h[:, t], d_c[:, t] = d_h_t, np.where(m, d_c_real, d_c_t)
            d_z[:, t] = np.where(m, d_z_t, 0)
            d_h_t, d_c_t = np.where(m, d_h_prev, d_h_t), np.where(m, d_c_prev, d_c_t)  # [EQ 18]
    return StateGradients(d_h, d_c, d_z)


def on_the_step_that_gave_it(d_hs: Array, cache: LSTMCache) -> Array:
    """The gradients on the outputs, those of masked steps moved to the step they repeat [EQ 17].

    Before the first real step, and everywhere with zeros as masked output, they go nowhere.
    """
    if cache.mask is None:
        return d_hs
    d_y = np.zeros_like(d_hs)
    carried = np.zeros_like(cache.h0)  # [B,P]
    for t in reversed(range(d_hs.shape[1])):
        m = cache.mask[:, t, None]
        total = carried + d_hs[:, t]
        d_y[:, t] = np.where(m, total, 0)
        carried = np.where(m | (cache.config.masked_output == "zero"), 0, total)
    return d_y
