"""A sequence read from both ends. Keras: ``keras.layers.Bidirectional``."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.layers.base import Layer, Shape
from lstm_ref.layers.carried_mask import carried_mask, with_mask
from lstm_ref.layers.composite import Composite, named_gradients
from lstm_ref.layers.lstm import LSTM
from lstm_ref.layers.lstm_cell import checked_states
from lstm_ref.layers.registry import deserialize, serialize
from lstm_ref.layers.rnn import RNN, RNNState

MERGE_MODES = ("concat", "sum", "mul", "ave", None)


class Directions(NamedTuple):
    """Of each direction: its output, in the order of the input's time, and its cache."""

    y: tuple[Array, Array]
    caches: tuple[Any, Any]


class Bidirectional(Composite):
    """Two layers read the same x[B,T,D], one from the first step, one from the last.

    The output at a step joins what the forward layer knows after the steps up to it and what the
    backward layer knows after those from the end down to it: the backward output is turned round,
    so that both speak of the same step. With `return_sequences` both layers give 0 at masked
    steps, as in Keras (``zero_output_for_mask``).

    Args:
        layer: an `LSTM` or `RNN`. The forward layer is made anew from its config, and so is the
            backward layer, reading the other way; the layer itself is not used.
        merge_mode: how the outputs are joined: "concat" side by side, "sum", "mul", "ave", or None
            for both as a tuple.
        weights: to begin with, those of the forward layer, then those of the backward one.
        backward_layer: used as it is, instead of one made from `layer`; it must read backwards.
    """

    def __init__(
        self,
        layer: Layer,
        merge_mode: str | None = "concat",
        weights: Sequence[Any] | None = None,
        backward_layer: Layer | None = None,
        **common: Any,
    ) -> None:
        layer = _recurrent(layer)
        if merge_mode not in MERGE_MODES:
            raise ValueError(
                f"Bidirectional(merge_mode={merge_mode!r}): one of 'concat', 'sum', 'mul', 'ave' "
                "or None is needed"
            )
        super().__init__(**{"dtype": layer.dtype, **common})
        self.forward_layer = _made_from(layer, "forward", go_backwards=layer.go_backwards)
        self.backward_layer = (
            _made_from(layer, "backward", go_backwards=True)
            if backward_layer is None
            else _recurrent(backward_layer)
        )
        self.merge_mode = merge_mode
        self._check_directions(self.forward_layer, self.backward_layer)
        self.stateful = layer.stateful
        self.return_sequences = layer.return_sequences
        self.return_state = layer.return_state
        for direction in self.directions:
            direction.zero_output_for_mask = self.return_sequences
        self._first_weights = weights

    def _check_directions(self, forward: RNN, backward: RNN) -> None:
        """Raise when the two layers do not belong together."""
        if forward.go_backwards == backward.go_backwards:
            raise ValueError(
                f"both layers of a Bidirectional have go_backwards={forward.go_backwards}: one "
                "reads forwards and the other backwards"
            )
        for option in ("stateful", "return_sequences", "return_state"):
            values = getattr(forward, option), getattr(backward, option)
            if values[0] != values[1]:
                raise ValueError(
                    f"the layers of a Bidirectional have {option}={values[0]} and {values[1]}: "
                    "both need the same"
                )
        widths = [direction.cells[-1].units for direction in (forward, backward)]
        if self.merge_mode in ("sum", "mul", "ave") and widths[0] != widths[1]:
            raise ValueError(
                f"Bidirectional(merge_mode={self.merge_mode!r}) joins the outputs unit by unit, "
                f"and the layers have {widths[0]} and {widths[1]} units: give both the same, or "
                "use merge_mode='concat'"
            )
        if forward.name == backward.name:
            raise ValueError(f"both layers of a Bidirectional are named {forward.name!r}")

    @property
    def directions(self) -> tuple[RNN, RNN]:
        """The forward and the backward layer."""
        return self.forward_layer, self.backward_layer

    # Shapes and weights.

    input_axes = 3

    @property
    def outputs(self) -> int:  # type: ignore[override]
        """How many arrays a call gives."""
        states = sum(direction.outputs - 1 for direction in self.directions)
        return (1 if self.merge_mode else 2) + states

    @property
    def parts(self) -> Mapping[str, Layer]:
        """The two layers by their names."""
        return {direction.name: direction for direction in self.directions}

    def shape_from_parts(self, input_length: int | None, input_dim: int) -> Shape:
        """(batch, time, features) from Keras 2's ``input_length`` and ``input_dim``."""
        return (None, input_length, input_dim)

    def check_input(self, shape: Shape) -> None:
        """As both layers."""
        for direction in self.directions:
            direction.check_input(shape)

    def build(
        self, input_shape: Sequence[int | None], weights: Mapping[str, Array] | None = None
    ) -> None:
        """See `Layer.build`."""
        first = not self.built
        super().build(input_shape, weights)
        if first and weights is None and self._first_weights is not None:
            self.set_weights(self._first_weights)

    def compute_output_shape(self, input_shape: Shape) -> Any:
        """That of a direction, joined; with `return_state`, also those of all states."""
        shapes = [direction.compute_output_shape(input_shape) for direction in self.directions]
        first = [shape[0] if self.return_state else shape for shape in shapes]
        states = tuple(s for shape in shapes for s in shape[1:]) if self.return_state else ()
        if self.merge_mode is None:
            return (*first, *states)
        width = first[0][-1] + (first[1][-1] if self.merge_mode == "concat" else 0)
        joined = (*first[0][:-1], width)
        return (joined, *states) if self.return_state else joined

    def compute_mask(self, x: Array, mask: Array | None = None) -> Any:  # noqa: ARG002
        """The input's mask where there is an output for every step; none for the states."""
        of_output = mask if self.return_sequences else None
        if self.outputs == 1:
            return of_output
        joined = 1 if self.merge_mode else 2
        return [of_output] * joined + [None] * (self.outputs - joined)

    # The two passes.

    def __call__(
        self,
        sequences: Any,
        initial_state: Sequence[Any] | None = None,
        mask: Any = None,
        training: bool | None = None,
    ) -> Any:
        """The output for x[B,T,D]: one array, or a tuple with `return_state` or without merging.

        Args:
            sequences: x[B,T,D].
            initial_state: that of the forward layer, then that of the backward layer:
                [h0, c0, h0, c0] for two LSTMs; None for zeros, or a stateful layer's state.
            mask: [B,T], True where the step is real; None for the one that x carries, if any.
            training: True lets dropout drop.
        """
        mask = carried_mask(sequences) if mask is None else mask
        x = self.read(sequences)
        halves: tuple[Any, Any] = (None, None)
        if initial_state is not None:
            counts = [len(direction.state_size) for direction in self.directions]
            needs = (
                "that of the forward layer, then that of the backward layer: [h0, c0, h0, c0] for "
                "two LSTMs"
            )
            checked_states(initial_state, sum(counts), f"layer {self.name!r}", needs)
            halves = initial_state[: counts[0]], initial_state[counts[0] :]
        results = [
            direction(x, initial_state=state, mask=mask, training=training)
            for direction, state in zip(self.directions, halves, strict=True)
        ]
        first = [result[0] if self.return_state else result for result in results]
        y = self._join(*(self._in_time(n, np.asarray(y)) for n, y in enumerate(first)))
        states = [s for result in results for s in result[1:]] if self.return_state else []
        if self.outputs == 1:
            return with_mask(y, self.compute_mask(x, mask))
        outputs = (*(y if isinstance(y, tuple) else (y,)), *states)
        return with_mask(outputs, self.compute_mask(x, mask))

    def forward(
        self,
        x: Array,
        mask: Array | None = None,
        training: bool = False,
        keep_cache: bool = False,
    ) -> tuple[Any, Directions | None]:
        """The joined output (or both), and what ``backward`` needs."""
        y, end, cache = self.forward_from(x, None, mask, training, keep_cache)
        self.keep(end)
        return y, cache

    def backward(self, d_y: Any, cache: Directions) -> tuple[Array, dict[str, Array]]:
        """The gradient on x, and those on the weights."""
        d_x, _, gradients = self.backward_to(d_y, None, cache)
        return d_x, gradients

    def forward_from(
        self,
        x: Array,
        state: tuple[RNNState, RNNState] | None = None,
        mask: Array | None = None,
        training: bool = False,
        keep_cache: bool = False,
    ) -> tuple[Any, tuple[RNNState, RNNState], Directions | None]:
        """The output for a whole sequence, from a state of each layer; see `RNN.forward_from`."""
        starts = (None, None) if state is None else state
        (y_f, end_f, cache_f), (y_b, end_b, cache_b) = (
            direction.forward_from(x, start, mask, training, keep_cache)
            for direction, start in zip(self.directions, starts, strict=True)
        )
        y = y_f, self._in_time(1, y_b)
        cache = Directions(y, (cache_f, cache_b)) if keep_cache else None
        return self._join(*y), (end_f, end_b), cache

    def backward_to(
        self,
        d_y: Any,
        d_state: tuple[RNNState, RNNState] | None,
        cache: Directions,
        for_x: bool = True,
    ) -> tuple[Array, tuple[RNNState, RNNState], dict[str, Array]]:
        """See `RNN.backward_to`."""
        d_ends = (None, None) if d_state is None else d_state
        d_outputs = self.gradients_of_outputs(d_y, cache)
        (d_x, d_start_f, gradients), (d_x_b, d_start_b, gradients_b) = (
            direction.backward_to(d_n, d_end, of_direction, for_x)
            for direction, d_n, d_end, of_direction in zip(
                self.directions, d_outputs, d_ends, cache.caches, strict=True
            )
        )
        names = [direction.name for direction in self.directions]
        named = named_gradients(names[0], gradients) | named_gradients(names[1], gradients_b)
        return d_x + d_x_b, (d_start_f, d_start_b), named

    def keep(self, state: tuple[RNNState, RNNState]) -> None:
        """See `Layer.keep`."""
        for direction, of_direction in zip(self.directions, state, strict=True):
            direction.keep(of_direction)

    def gradients_of_outputs(self, d_y: Any, cache: Directions) -> list[Array]:
        """The gradient on what each layer gave, in its own order, from that on the joined output.

        Those of their activity penalties are included.
        """
        gradients = []
        for n, direction in enumerate(self.directions):
            d_n = self._part_of(d_y, n, cache.y)
            if (more := direction.activity_gradient(cache.y[n])) is not None:
                d_n = d_n + more
            gradients.append(self._in_time(n, d_n))
        return gradients

    def activity_penalty(self, outputs: Any, cache: Directions) -> float:
        """See `Layer.activity_penalty`; those of the two layers are added."""
        own = super().activity_penalty(outputs, cache)
        if all(direction.activity_regularizer is None for direction in self.directions):
            return own
        each = zip(self.directions, cache.y, cache.caches, strict=True)
        return own + sum(d.activity_penalty(y, of_d) for d, y, of_d in each)

    def _in_time(self, n: int, y: Array) -> Array:
        """The output of a direction in the order of the input's time, or its gradient back again.

        It is the second layer that is turned round, as in Keras.
        """
        return y[:, ::-1] if n == 1 and self.return_sequences else y

    def _join(self, forwards: Array, backwards: Array) -> Any:
        if self.merge_mode is None:
            return forwards, backwards
        if self.merge_mode == "concat":
            return np.concatenate([forwards, backwards], axis=-1)
        if self.merge_mode == "mul":
            return forwards * backwards
        total = forwards + backwards
        return total / 2 if self.merge_mode == "ave" else total

    def _part_of(self, d_y: Any, n: int, y: tuple[Array, Array]) -> Array:
        """The gradient on the output of direction n, from that on the joined output."""
        if self.merge_mode is None:
            return np.asarray(d_y[n])
        if self.merge_mode == "concat":
            width = y[0].shape[-1]
            return np.asarray(d_y[..., :width] if n == 0 else d_y[..., width:])
        if self.merge_mode == "mul":
            return np.asarray(d_y * y[1 - n])
        return np.asarray(d_y / 2 if self.merge_mode == "ave" else d_y)

    # What a caller looks at.

    @property
    def states(self) -> Any:
        """A stateful layer's states, those of the forward layer first; else None, as `RNN`'s."""
        states = [direction.states for direction in self.directions]
        return None if None in states else (*states[0], *states[1])

    def reset_state(self) -> None:
        """Let a stateful layer's next batch begin from zeros."""
        for direction in self.directions:
            direction.reset_state()

    def reset_states(self) -> None:
        """`reset_state`, by Keras 2's name."""
        self.reset_state()

    def get_config(self) -> dict[str, Any]:
        """See `Layer.get_config`."""
        return {
            **super().get_config(),
            "merge_mode": self.merge_mode,
            "layer": serialize(self.forward_layer),
            "backward_layer": serialize(self.backward_layer),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """See `Layer.from_config`."""
        layers = {key: config.get(key) for key in ("layer", "backward_layer")}
        made = {key: None if entry is None else deserialize(entry) for key, entry in layers.items()}
        return super().from_config({**config, **made})


def _recurrent(layer: Layer) -> RNN:
    """``layer``, if it is recurrent.

    Raises:
        TypeError: something else.
    """
    if not isinstance(layer, RNN):
        raise TypeError(f"Bidirectional runs an LSTM or an RNN both ways, and {layer!r} came")
    return layer


def _made_from(layer: RNN, direction: str, go_backwards: bool) -> RNN:
    """A new layer of the same config, named after the direction."""
    name = f"{direction}_{layer.name.removeprefix(f'{direction}_')}"
    config = {**layer.get_config(), "name": name, "go_backwards": go_backwards}
    if isinstance(layer, LSTM):
        config["use_cudnn"] = layer.use_cudnn  # which Keras' configs leave out
    return type(layer).from_config(config)
