"""A cell, or several on top of each other, run over a sequence. Keras: ``keras.layers.RNN``."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from lstm_ref.backend import lstm_backward, lstm_forward
from lstm_ref.checks import rank_advice, sequence_batch, step_mask
from lstm_ref.conventions import Array
from lstm_ref.errors import ShapeError
from lstm_ref.layers.base import Layer, Shape
from lstm_ref.layers.carried_mask import carried_mask, with_mask
from lstm_ref.layers.composite import Composite, named_gradients
from lstm_ref.layers.lstm_cell import LSTMCell, checked_states, two_states
from lstm_ref.layers.registry import deserialize, serialize
from lstm_ref.layers.stacked_rnn_cells import StackedRNNCells, checked_cell
from lstm_ref.spec.parameters import LSTMCache, LSTMOutput

State = list[tuple[Array, Array]]
"""h and c, each [B,H], of each cell, the lowest first."""


class RNN(Composite):
    """Reads x[B,T,D] step by step; gives the last output [B,H], or all of them [B,T,H].

    Cells on top of each other are run one after the other over the whole sequence, which comes to
    the same as Keras' loop over time with all of them in it, and leaves each to the kernels.

    Args:
        cell: an `LSTMCell`, a list of them, or `StackedRNNCells`.
        return_sequences: the output at every time step instead of the last one alone.
        return_state: a call gives (output, h, c), h and c being the final state; with a list of
            cells (output, [h, c], [h, c], ...).
        go_backwards: read from the last step to the first; the outputs stay in that order.
        stateful: begin each batch with the state the one before it ended with, row by row. The
            batch size is then fixed by the input shape; `reset_state` begins anew.
        unroll: how Keras computes; accepted, without effect on values.
        zero_output_for_mask: the output of a masked step is 0 instead of the one before it.
    """

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **common: Any,
    ) -> None:
        if isinstance(cell, list | tuple):
            cell = StackedRNNCells(cell)
        cell = cell if isinstance(cell, StackedRNNCells) else checked_cell(cell)
        super().__init__(**{"dtype": cell.dtype, **common})
        self.cell = cell
        self.return_sequences = bool(return_sequences)
        self.return_state = bool(return_state)
        self.go_backwards = bool(go_backwards)
        self.stateful = bool(stateful)
        self.unroll = unroll
        self.zero_output_for_mask = bool(zero_output_for_mask)
        self._states: State | None = None

    @property
    def cells(self) -> list[LSTMCell]:
        """The cells, the lowest first."""
        return self.cell.cells if isinstance(self.cell, StackedRNNCells) else [self.cell]

    # Shapes and weights.

    input_axes = 3

    @property
    def outputs(self) -> int:  # type: ignore[override]
        """How many arrays a call gives."""
        return 1 + 2 * len(self.cells) if self.return_state else 1

    @property
    def state_size(self) -> list[Any]:
        """The widths of h and c; with a list of cells, those of each cell."""
        return list(self.cell.state_size)

    @property
    def named_cells(self) -> Mapping[str, LSTMCell]:
        """The cells by what begins the names of their weights."""
        return {cell.name: cell for cell in self.cells}

    @property
    def parts(self) -> Mapping[str, Layer]:
        """The cell, or the `StackedRNNCells`, in which the cells have their own names."""
        return {"": self.cell} if isinstance(self.cell, StackedRNNCells) else self.named_cells

    def part_shapes(self, input_shape: Shape) -> list[Shape]:
        """That of one time step."""
        return [(input_shape[0], input_shape[-1])]

    def shape_from_parts(self, input_length: int | None, input_dim: int) -> Shape:
        """(batch, time, features) from Keras 2's ``input_length`` and ``input_dim``."""
        return (None, input_length, input_dim)

    def check_input(self, shape: Shape) -> None:
        """(batch, time, features), with the feature count of the weights and a fixed batch."""
        where = f"layer {self.name!r} ({type(self).__name__}) got an input of shape {shape}"
        if len(shape) != 3:
            raise ShapeError(f"{where}: {rank_advice(len(shape))}")
        batch, _, features = shape
        if features is None:
            raise ShapeError(f"{where}: the number of features, the last axis, must be known")
        lowest = self.cells[0]
        if lowest.built and features != (expected := lowest.params["kernel"].shape[0]):
            raise ShapeError(
                f"{where}, {features} features a step, and its weights were made for {expected}: "
                "the last axis holds the same features, in the same order, as when it was built"
                + ("; batch and time may be swapped with it" if expected in shape[:2] else "")
            )
        if self.stateful:
            self._check_batch(batch)

    def _check_batch(self, batch: int | None) -> None:
        """A stateful layer's batch size never changes: each row continues its own sequence."""
        fixed = self.build_shape[0] if self.build_shape else batch
        if fixed is None:
            raise ShapeError(
                f"layer {self.name!r} is stateful, so its batch size must be known: begin the "
                "model with Input(batch_shape=(batch, time, features))"
            )
        if batch != fixed:
            raise ShapeError(
                f"layer {self.name!r} is stateful with batches of {fixed} rows, and one of {batch} "
                f"rows came: use a batch_size of {fixed} and a multiple of it as the number of "
                "rows, or build another model for this batch size"
            )

    def compute_output_shape(self, input_shape: Shape) -> Any:
        """[B,T,H] or [B,H]; with `return_state`, also those of h and c."""
        B, T, _ = input_shape
        H = self.cells[-1].units
        output = (B, T, H) if self.return_sequences else (B, H)
        if not self.return_state:
            return output
        states = [[(B, cell.units)] * 2 for cell in self.cells]
        return (output, *(states if isinstance(self.cell, StackedRNNCells) else states[0]))

    def compute_mask(self, x: Array, mask: Array | None = None) -> Any:  # noqa: ARG002
        """The input's mask where there is an output for every step. Not reversed, as in Keras."""
        of_output = mask if self.return_sequences else None
        return [of_output] + [None] * len(self.state_size) if self.return_state else of_output

    # The two passes.

    def __call__(
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: bool | None = None,
    ) -> Any:
        """The output for x[B,T,D]: a NumPy array, or a tuple with `return_state`.

        Args:
            sequences: x[B,T,D].
            initial_state: [h0, c0], each [B,H]; with a list of cells [[h0, c0], ...]; None for
                zeros, or a stateful layer's state.
            mask: [B,T], True where the step is real; None for the one that x carries, if any.
            training: True lets dropout drop.
        """
        mask = carried_mask(sequences) if mask is None else mask
        x = self.read(sequences)
        start = None if initial_state is None else self._state(initial_state)
        outputs = self.run(x, mask, start, bool(training), keep_cache=False)
        y = self._select(outputs[-1])
        if not self.return_state:
            return with_mask(y, self.compute_mask(x, mask))
        states: Any = [[out.h, out.c] for out in outputs]
        if not isinstance(self.cell, StackedRNNCells):
            states = states[0]
        return with_mask((y, *states), self.compute_mask(x, mask))

    def forward(
        self,
        x: Array,
        mask: Array | None = None,
        training: bool = False,
        keep_cache: bool = False,
    ) -> tuple[Array, list[LSTMCache] | None]:
        """The output, and what ``backward`` needs. A stateful layer goes on from its state."""
        outputs = self.run(x, mask, None, training, keep_cache)
        caches = [out.cache for out in outputs if out.cache is not None]
        return self._select(outputs[-1]), caches if keep_cache else None

    def backward(self, d_y: Array, cache: list[LSTMCache]) -> tuple[Array, dict[str, Array]]:
        """The gradient on x, and those on the weights; none flows into an earlier batch."""
        last = cache[-1]
        d_hs, d_h = (d_y, None) if self.return_sequences else (None, d_y)
        if d_h is not None and last.mask is not None:
            # The output of the last step, which is not h where that step is masked.
            d_hs, d_h = np.zeros_like(last.h), None  # [B,T,H]
            d_hs[:, -1:] = d_y[:, None]
        gradients: dict[str, Array] = {}
        cells = reversed(list(self.named_cells.items()))
        for (prefix, cell), of_cell in zip(cells, reversed(cache), strict=True):
            found = lstm_backward(d_hs, d_h, None, of_cell)
            gradients |= named_gradients(prefix, cell.named_gradients(found))
            d_hs, d_h = found.d_x, None
        assert d_hs is not None
        return d_hs, gradients

    def run(
        self, x: Array, mask: Any, start: State | None, training: bool, keep_cache: bool
    ) -> list[LSTMOutput]:
        """The core on x[B,T,D], cell after cell, from the given state, the kept one, or zeros."""
        start = self._states if start is None else start
        x = sequence_batch(x, np.dtype(self.dtype), self.cells[0].params["kernel"].shape[0])
        B, T = x.shape[:2]
        mask = None if mask is None else step_mask(mask, B, T)
        outputs: list[LSTMOutput] = []
        backwards = self.go_backwards
        for n, cell in enumerate(self.cells):
            h0, c0 = (None, None) if start is None else start[n]
            config = cell.core_config(
                go_backwards=backwards,
                masked_output="zero" if self.zero_output_for_mask else "hold",
            )
            dropout = cell.draw_dropout(B, x.shape[2]) if training else None
            params = cell.core_params
            out = lstm_forward(x, params, config, mask, h0, c0, keep_cache, dropout=dropout)
            outputs.append(out)
            x = out.hs
            if backwards:  # the outputs are in reversed order already
                backwards, mask = False, None if mask is None else mask[:, ::-1]
        if self.stateful:
            self._states = [(out.h.copy(), out.c.copy()) for out in outputs]
        return outputs

    def _select(self, output: LSTMOutput) -> Array:
        """All outputs, or that of the last step processed (0 when there was no step)."""
        if self.return_sequences:
            return output.hs
        return output.hs[:, -1] if output.hs.shape[1] else np.zeros_like(output.h)

    def _state(self, initial_state: Any) -> State:
        """The state as pairs, one for each cell."""
        if not isinstance(self.cell, StackedRNNCells):
            return [two_states(initial_state, f"layer {self.name!r}")]
        needs = "[[h0, c0], ...], one pair for each cell"
        pairs = checked_states(initial_state, len(self.cells), f"layer {self.name!r}", needs)
        return [two_states(pair, f"each cell of {self.name!r}") for pair in pairs]

    # What a caller looks at.

    @property
    def states(self) -> Any:
        """A stateful layer's h and c, each [B,H]; pairs of them with a list of cells.

        None for any other layer, and before the layer is built.
        """
        if not self.stateful or self.build_shape is None:
            return None
        if self._states is None:
            return self.get_initial_state(int(self.build_shape[0] or 0))
        states = [list(state) for state in self._states]
        return states if isinstance(self.cell, StackedRNNCells) else states[0]

    def reset_state(self) -> None:
        """Let a stateful layer's next batch begin from zeros."""
        self._states = None

    def reset_states(self) -> None:
        """`reset_state`, by Keras 2's name."""
        self.reset_state()

    def get_initial_state(self, batch_size: int) -> Any:
        """Zeros for every state."""
        return self.cell.get_initial_state(batch_size)

    def run_options(self) -> dict[str, Any]:
        """The config without the cell, and without what all layers have."""
        return {
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "stateful": self.stateful,
            "unroll": self.unroll,
            "zero_output_for_mask": self.zero_output_for_mask,
        }

    def get_config(self) -> dict[str, Any]:
        """See `Layer.get_config`."""
        return {**super().get_config(), **self.run_options(), "cell": serialize(self.cell)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """See `Layer.from_config`."""
        return super().from_config({**config, "cell": deserialize(config.get("cell"))})


def ends_sequences(layer: Layer) -> bool:
    """Whether a layer reads a sequence and gives one output for all of it."""
    return layer.reads_sequences and not getattr(layer, "return_sequences", True)
