"""How far the gradient travels back through an LSTM.

A loss far from a step reaches it along two ways: through the hidden states, where every step
multiplies the gradient by Uᵀ and by the gates' derivatives, so that it fades or explodes; and
through the cell states, where a step multiplies it by the forget gate and nothing else [EQ 11].
With f near 1 the second way is open over many steps, which is what the LSTM was made for
(Hochreiter & Schmidhuber, 1997, section 4; Gers, Schmidhuber & Cummins, 2000). Both are shown here,
and the product of forget gates beside them: what the second way alone leaves of a gradient on the
last state.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from lstm_ref.conventions import Array, split_gates
from lstm_ref.model import Sequential
from lstm_ref.training.through_time import CellRun, StateGradients, cell_gradients, way_back
from lstm_ref.verify.in_float64 import in_float64


@dataclass(frozen=True, eq=False)
class GradientFlow:
    """The gradients on the states of one LSTM, at every time step of its input.

    Each number is a mean over the rows whose step is real; NaN where none is.

    Attributes:
        d_h: [T], ``|∂h_t|``, the Euclidean length over the units: through the output at step t and
            through all later steps.
        d_c: [T], ``|∂c_t|``, likewise.
        forget_product: [T], the product of the forget gates of the steps after t, the part of c_t
            that is still in the final cell state; its size, averaged over the units. 1 at the last
            step.
        backwards: the LSTM read its input from the last step to the first, so that step 0 is the
            one processed last.
    """

    d_h: Array
    d_c: Array
    forget_product: Array
    backwards: bool


def gradient_flow(
    model: Sequential, x: Any, y: Any, sample_weight: Any = None
) -> dict[str, GradientFlow]:
    """How the gradient of a model's loss on (x, y) flows back through each LSTM in it.

    Computed in float64 on a copy of the model, so that a gradient may fade a long way before it is
    0; without dropout, and from a zero state where a layer is stateful. The model stays as it is.

    Args:
        model: compiled, and built or buildable from x.
        x, y, sample_weight: as ``fit`` takes them; one batch.

    Returns:
        By the name of the layer, ``"lstm"``; of the layer and the direction,
        ``"bidirectional/forward"``; of the layer and the cell, ``"rnn/lstm_cell_1"``. In the order
        of computation; empty where the model has no LSTM.

    Raises:
        ShapeError: x, y or sample_weight do not fit the model.
        ValueError: the model is not compiled.
    """
    model.compiled("gradient_flow")
    model.batch("gradient_flow", x, y, sample_weight)  # builds, and raises what does not fit
    copy = in_float64(model)
    _, loss = copy.compiled("gradient_flow")
    batch = copy.batch("gradient_flow", x, y, sample_weight)
    forward = copy.run(batch.x, training=False, keep_cache=True, link=loss.link)
    flows = {
        "/".join([back.layer.name, *run.place]): _flow(run, gradients)
        for back in way_back(copy, batch, loss, forward)
        for run, gradients in cell_gradients(back.layer, back.d_y, back.cache)
    }
    return dict(reversed(flows.items()))


def _flow(run: CellRun, gradients: StateGradients) -> GradientFlow:
    """The means over the rows, in the order of the input's time."""
    mask = run.cache.mask
    _, f, _, _ = split_gates(run.cache.gates)  # [B,T,H]
    if mask is not None:
        f = np.where(mask[..., None], f, 1)  # a state that holds loses nothing
    after = np.concatenate([f[:, 1:], np.ones_like(f[:, :1])], axis=1)[:, : f.shape[1]]
    product = np.abs(np.cumprod(after[:, ::-1], axis=1)[:, ::-1]).mean(axis=-1)  # [B,T]
    lengths = (np.linalg.norm(d, axis=-1) for d in (gradients.d_h, gradients.d_c))
    of_steps = (_over_rows(values, mask) for values in (*lengths, product))
    d_h, d_c, left = (values[::-1] if run.backwards else values for values in of_steps)
    return GradientFlow(d_h, d_c, left, run.backwards)


def _over_rows(values: Array, mask: Array | None) -> Array:
    """The mean [T] of [B,T] over the rows that are real at each step."""
    if mask is None:
        return np.asarray(values.mean(axis=0))
    rows = mask.sum(axis=0)
    total = np.where(mask, values, 0).sum(axis=0)
    return np.where(rows > 0, total / np.maximum(rows, 1), np.nan)
