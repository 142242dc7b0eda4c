"""A cell, or several on top of each other, run over a sequence. Keras: ``keras.layers.RNN``."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from lstm_ref.backend import behind_the_door, initial_states, lstm_backward
from lstm_ref.checks import rank_advice, sequence_batch, step_mask
from lstm_ref.conventions import Array
from lstm_ref.errors import ShapeError
from lstm_ref.layers.base import Layer, Shape
from lstm_ref.layers.carried_mask import carried_mask, with_mask
from lstm_ref.layers.composite import Composite, joined, named_gradients
from lstm_ref.layers.lstm_cell import LSTMCell, checked_states, two_states
from lstm_ref.layers.registry import deserialize, serialize
from lstm_ref.layers.stacked_rnn_cells import StackedRNNCells, checked_cell
from lstm_ref.spec.parameters import Dropout, LSTMCache, LSTMOutput

Pair = tuple[Array | None, Array | None]
"""h and c of a cell, each [B,H]; None for zeros."""


class RNNState(NamedTuple):
    """What an `RNN` hands on from one time step to the next.

    The gradient on a state has the same form, without dropout.

    Attributes:
        cells: h and c of each cell, the lowest first.
        y: [B,H], the last output, which masked steps behind it repeat; None for zeros, from which
            every sequence begins, whatever h is.
        dropout: what is dropped of the way into each cell, the same at every step; None where
            nothing has been drawn yet.
    """

    cells: Sequence[Pair]
    y: Array | None = None
    dropout: Sequence[Dropout | None] | None = None


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
        self._states: Sequence[Pair] | None = None

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
        start = None if initial_state is None else self.state_from(initial_state)
        y, end, _ = self.forward_from(x, start, mask, bool(training))
        self.keep(end)
        if not self.return_state:
            return with_mask(y, self.compute_mask(x, mask))
        states: Any = [list(pair) for pair in end.cells]
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
        y, end, caches = self.forward_from(x, None, mask, training, keep_cache)
        self.keep(end)
        return y, caches

    def backward(self, d_y: Array, cache: list[LSTMCache]) -> tuple[Array, dict[str, Array]]:
        """The gradient on x, and those on the weights; none flows into an earlier batch."""
        d_x, _, gradients = self.backward_to(d_y, None, cache)
        return d_x, gradients

    @np.errstate(over="ignore", invalid="ignore")  # infinity and NaN flow through in silence
    def forward_from(
        self,
        x: Array,
        state: RNNState | None = None,
        mask: Array | None = None,
        training: bool = False,
        keep_cache: bool = False,
    ) -> tuple[Array, RNNState, list[LSTMCache] | None]:
        """See `Layer.forward_from`. Here all passes forward happen, cell after cell.

        ::

            state = layer.state_from([h0, c0])
            y, end, cache = layer.forward_from(x, state, mask, keep_cache=True)
            d_x, d_state, gradients = layer.backward_to(d_y, None, cache)
            ((d_h0, d_c0),) = d_state.cells

        Args:
            x, mask, training, keep_cache: see `Layer.forward`.
            state: to begin from; None for that of a stateful layer's last batch, or zeros.
        """
        x = sequence_batch(x, np.dtype(self.dtype), self.cells[0].params["kernel"].shape[0])
        B, T, D = x.shape
        core = behind_the_door("lstm", x.dtype)
        mask = None if mask is None else step_mask(mask, B, T)
        if state is None:
            state = RNNState(self._states or [(None, None)] * len(self.cells))
        dropout = state.dropout
        if training and dropout is None:
            dropout = self._draw_dropout(B, D)
        outputs: list[LSTMOutput] = []
        backwards = self.go_backwards
        for n, (cell, (h0, c0)) in enumerate(zip(self.cells, state.cells, strict=True)):
            config = cell.core_config(
                go_backwards=backwards,
                masked_output="zero" if self.zero_output_for_mask else "hold",
            )
            dropped = dropout[n] if training and dropout is not None else None
            params = cell.core_params
            h0, c0 = initial_states(h0, c0, B, params, copy=keep_cache)
            out = core.lstm_forward(x, params, config, mask, h0, c0, keep_cache, dropped)
            outputs.append(out)
            x = out.hs
            if backwards:  # the outputs are in reversed order already
                backwards, mask = False, None if mask is None else mask[:, ::-1]
        hs = outputs[-1].hs
        if state.y is not None and (waiting := self._waiting(mask)) is not None:
            np.copyto(hs, state.y[:, None], where=waiting[..., None])
        if T:
            y = hs[:, -1].copy()
        else:
            y = np.zeros_like(outputs[-1].h) if state.y is None else state.y
        end = RNNState([(out.h, out.c) for out in outputs], y, dropout)
        caches = [out.cache for out in outputs if out.cache is not None]
        return hs if self.return_sequences else y, end, caches if keep_cache else None

    def backward_to(
        self,
        d_y: Array,
        d_state: RNNState | None,
        cache: list[LSTMCache],
        for_x: bool = True,
    ) -> tuple[Array, RNNState, dict[str, Array]]:
        """See `Layer.backward_to`; the gradient on x is [B,0,D] where it was not asked for."""
        if d_state is None:
            d_state = RNNState([(None, None)] * len(cache))
        d_hs, d_held = self.gradient_on_outputs(d_y, d_state.y, cache[-1])
        gradients: dict[str, Array] = {}
        d_cells: list[Pair] = []
        each = zip(self.named_cells.items(), d_state.cells, cache, strict=True)
        for (prefix, cell), (d_h, d_c), of_cell in reversed(list(each)):
            found = lstm_backward(d_hs, d_h, d_c, of_cell, for_x or of_cell is not cache[0])
            gradients |= named_gradients(prefix, cell.named_gradients(found))
            d_cells.insert(0, (found.d_h0, found.d_c0))
            d_hs = found.d_x
        return d_hs, RNNState(d_cells, d_held), gradients

    def gradient_on_outputs(
        self, d_y: Array, d_last: Array | None, cache: LSTMCache
    ) -> tuple[Array, Array | None]:
        """The gradients on the outputs of all steps, [B,T,H], and on the output before them.

        Args:
            d_y: that on what the layer gave.
            d_last: that on the last output, from the steps behind the piece that repeat it; None
                for zeros.
            cache: of the highest cell.
        """
        d_hs = d_y
        if not self.return_sequences:
            d_hs = np.zeros_like(cache.h)
            d_last = d_y if d_last is None else d_y + d_last
        if not d_hs.shape[1]:
            return d_hs, d_last
        if d_last is not None:  # of the last step, whose output is not h where it is masked
            d_hs = d_hs.copy() if d_hs is d_y else d_hs
            d_hs[:, -1] += d_last
        if (waiting := self._waiting(cache.mask)) is None:
            return d_hs, None
        return d_hs, np.where(waiting[..., None], d_hs, 0).sum(axis=1, dtype=d_hs.dtype)

    def _waiting(self, mask: Array | None) -> Array | None:
        """[B,T], the masked steps before the first real one of their row, in the order they come.

        They repeat the output before the piece. None where there are none, or where masked steps
        give 0.
        """
        if mask is None or self.zero_output_for_mask or mask[:, :1].all():
            return None
        return np.asarray(~np.logical_or.accumulate(mask, axis=1))

    def _draw_dropout(self, B: int, D: int) -> list[Dropout | None]:
        """What is dropped of the way into each cell."""
        widths = [D, *(cell.units for cell in self.cells[:-1])]
        return [cell.draw_dropout(B, n) for cell, n in zip(self.cells, widths, strict=True)]

    def state_from(self, initial_state: Any) -> RNNState:
        """The state that `forward_from` begins from, of an ``initial_state`` as a call takes it.

        Raises:
            ShapeError: another number of arrays than the layer has states.
        """
        if not isinstance(self.cell, StackedRNNCells):
            return RNNState([two_states(initial_state, f"layer {self.name!r}")])
        needs = "[[h0, c0], ...], one pair for each cell"
        pairs = checked_states(initial_state, len(self.cells), f"layer {self.name!r}", needs)
        return RNNState([two_states(pair, f"each cell of {self.name!r}") for pair in pairs])

    # What a stateful layer keeps.

    def keep(self, state: RNNState) -> None:
        """See `Layer.keep`; of the state, h and c."""
        if self.stateful:
            self._states = [(np.array(h), np.array(c)) for h, c in state.cells]

    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """h and c of each cell, [B,H], where the layer is stateful."""
        if not self.stateful or self.build_shape is None:
            return {}
        B = int(self.build_shape[0] or 0)
        cells = self.named_cells.items()
        return {joined(name, s): (B, cell.units) for name, cell in cells for s in ("h", "c")}

    def kept_states(self) -> dict[str, Array]:
        """See `Layer.kept_states`."""
        arrays = [array for pair in self._states or () for array in pair if array is not None]
        return dict(zip(self.state_shapes(), arrays, strict=True)) if arrays else {}

    def restore_states(self, states: Mapping[str, Array]) -> None:
        """See `Layer.restore_states`."""
        arrays = [np.array(states[n], self.dtype) for n in self.state_shapes() if n in states]
        self._states = list(zip(arrays[::2], arrays[1::2], strict=True)) or None

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
