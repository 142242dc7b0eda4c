"""Layers in a row: their shapes, their weights, and the two passes through all of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.errors import ModelFormatError, ShapeError, UnsupportedError
from lstm_ref.layers.base import Layer, Shape
from lstm_ref.layers.carried_mask import carried_mask
from lstm_ref.layers.composite import joined
from lstm_ref.layers.dropping import Dropper
from lstm_ref.layers.input import InputLayer
from lstm_ref.layers.lstm_cell import LSTMCell
from lstm_ref.layers.rnn import ends_sequences
from lstm_ref.layers.stacked_rnn_cells import StackedRNNCells


class Kept(NamedTuple):
    """Of one layer, what the backward pass needs: its cache, and its output."""

    cache: Any
    y: Array


class Pass(NamedTuple):
    """A forward pass through all layers.

    Attributes:
        y: the prediction.
        mask: its mask [B,T], or None.
        kept: what each layer's backward pass needs, in the order of the layers; empty when it was
            not kept.
        penalty: what activity regularizers add to the loss.
        logits: what the last activation was applied to; None when it was not asked for, or when
            the last layer does not end in that activation.
        states: the state of each layer at the end, None where it has no memory.
    """

    y: Array
    mask: Array | None
    kept: list[Kept]
    penalty: float
    logits: Array | None = None
    states: Sequence[Any] = ()


class Backward(NamedTuple):
    """The backward pass of one layer.

    Attributes:
        layer: the layer.
        cache: of its forward pass.
        d_y: the gradient on its output, that of its activity penalty included; on its logits where
            the loss reads those.
        d_x: the gradient on its input.
        weights: those on its weights, by name, without their penalties.
        d_state: that on the state it began from; None where it has no memory.
    """

    layer: Layer
    cache: Any
    d_y: Array
    d_x: Array
    weights: Mapping[str, Array]
    d_state: Any = None


class Stack:
    """The layers of a `lstm_ref.model.Sequential`, without its training and its files.

    Args:
        layers: to begin with; see `add`.
        name: for messages.
    """

    def __init__(self, layers: Sequence[Layer], name: str) -> None:
        self.name = name
        self._stack: list[Layer] = []
        for layer in layers:
            self.add(layer)

    # The layers.

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the `Input`."""
        return [layer for layer in self._stack if not isinstance(layer, InputLayer)]

    def add(self, layer: Layer) -> None:
        """Put one more layer at the end; it is built if the shape of its input is known.

        Raises:
            TypeError: not a layer.
            ValueError: a name that is taken, or an `Input` that is not first.
            UnsupportedError: a layer with several outputs, which no layer could read, or a cell.
        """
        before = list(self._stack)
        self._append(layer)
        try:
            if isinstance(self._stack[0], InputLayer):
                self._build_layers()
        except ShapeError:
            self._stack = before
            raise

    def _append(self, layer: Layer) -> None:
        """`add` without building anything."""
        given: Any = layer
        if not isinstance(given, Layer):
            inside = isinstance(given, Stack)
            raise TypeError(
                f"a Sequential is made of layers of lstm_ref, and {given!r} came"
                + (": models inside models are not supported yet" if inside else "")
            )
        if any(layer.name == other.name for other in self._stack):
            raise ValueError(
                f"the model has a layer named {layer.name!r} already: give this one another name"
            )
        if isinstance(layer, InputLayer) and self._stack:
            raise ValueError("the Input comes first in a Sequential, and there is one")
        if isinstance(layer, LSTMCell | StackedRNNCells):
            raise UnsupportedError(
                f"{layer.name!r} is a cell, which computes one time step from a state: RNN(cell) "
                "makes a layer of it"
            )
        if layer.outputs > 1:
            cause = (
                "return_state=True"
                if getattr(layer, "return_state", False)
                else ("merge_mode=None")
            )
            raise UnsupportedError(
                f"layer {layer.name!r} has {cause}, so it gives {layer.outputs} arrays, and a "
                "Sequential passes one on: call the layer by itself to get all of them"
            )
        if not self._stack and layer.declared_shape and not isinstance(layer, InputLayer):
            self._stack.append(InputLayer(batch_shape=layer.declared_shape))
        self._stack.append(layer)

    def pop(self) -> Layer:
        """Take the last layer off."""
        if not self.layers:
            raise ValueError(f"the model {self.name!r} has no layers to take off")
        return self._stack.pop()

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of that name, or at that place in `layers`."""
        if index is not None:
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        names = ", ".join(layer.name for layer in self.layers)
        raise ValueError(f"there is no layer {name!r}; there are {names}")

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Make the weights for inputs of this shape, batch axis included: (None, 10, 1)."""
        if not self._stack:
            raise ValueError(f"the model {self.name!r} has no layers to build")
        if not isinstance(self._stack[0], InputLayer):
            self.compute_output_shape(tuple(input_shape))  # before anything is changed
            self._stack.insert(0, InputLayer(batch_shape=input_shape))
        elif self.input_shape != tuple(input_shape):
            raise ShapeError(
                f"the model {self.name!r} has the input shape {self.input_shape} already, and "
                f"cannot be built for {tuple(input_shape)}"
            )
        self._build_layers()

    def _build_layers(self) -> None:
        shape = self.input_shape
        for layer in self.layers:
            self._check_input(layer, shape)
            layer.build(shape)
            shape = layer.compute_output_shape(shape)

    def _check_input(self, layer: Layer, shape: Shape) -> None:
        """Raise ShapeError when what comes to a layer does not belong there.

        An LSTM that gives only its last output is the usual cause, and its reader cannot know.
        """
        if layer.reads_sequences and len(shape) == 2:
            for other in reversed(self.layers[: self.layers.index(layer)]):
                if ends_sequences(other):
                    raise ShapeError(
                        f"layer {layer.name!r} ({type(layer).__name__}) reads a sequence, and "
                        f"{other.name!r} before it gives only its last output, of shape {shape}: "
                        f"set return_sequences=True on {other.name!r}"
                    )
        layer.check_input(shape)

    @property
    def built(self) -> bool:
        """Whether the shape of the input is known and every layer has its weights."""
        known = bool(self.layers) and isinstance(self._stack[0], InputLayer)
        return known and all(layer.built for layer in self.layers)

    @property
    def input_shape(self) -> Shape:
        """The shape of the input, batch axis included, unknown lengths None."""
        first = self._stack[0] if self._stack else None
        if not isinstance(first, InputLayer):
            raise AttributeError(f"the model {self.name!r} has no input shape before it is built")
        return first.batch_shape

    @property
    def output_shape(self) -> Shape:
        """The shape of the prediction, batch axis included, unknown lengths None."""
        return self.compute_output_shape(self.input_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape that comes out for an input of this shape, which must fit every layer."""
        shape = tuple(input_shape)
        for layer in self.layers:
            self._check_input(layer, shape)
            shape = layer.compute_output_shape(shape)
        return shape

    # Weights.

    def named_weights(self) -> dict[str, Array]:
        """Every weight by its whole name, ``"lstm/kernel"``, in Keras' order."""
        return {
            f"{layer.name}/{name}": weight
            for layer in self.layers
            for name, weight in layer.params.items()
        }

    @property
    def weights(self) -> list[Array]:
        """All weights as read-only arrays, layer by layer."""
        return [weight for layer in self.layers for weight in layer.weights]

    @property
    def trainable_weights(self) -> list[Array]:
        """Those that ``fit`` changes."""
        return [weight for layer in self.layers for weight in layer.trainable_weights]

    @property
    def non_trainable_weights(self) -> list[Array]:
        """Those that ``fit`` leaves alone."""
        return [weight for layer in self.layers for weight in layer.non_trainable_weights]

    @property
    def trainable(self) -> bool:
        """Whether ``fit`` changes any layer. Setting it sets it for every layer."""
        return any(layer.trainable for layer in self.layers)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self.layers:
            layer.trainable = bool(value)

    def get_weights(self) -> list[Array]:
        """Copies of all weights, layer by layer, in Keras' order."""
        return [weight for layer in self.layers for weight in layer.get_weights()]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Copy these arrays into the model, in the order of `get_weights`.

        Raises:
            ShapeError: another number of arrays, or one of another shape, naming the weight.
        """
        if not self.built:
            raise ShapeError(
                f"the model {self.name!r} has no weights yet: build it first, for example "
                "model.build((None, time, features)), or begin it with an Input"
            )
        names = self.named_weights()
        if len(weights) != len(names):
            raise ShapeError(
                f"the model takes {len(names)} arrays, {', '.join(names)}, and {len(weights)} came"
            )
        self.assign_params(
            {name: np.array(weight) for name, weight in zip(names, weights, strict=True)}
        )

    def load_named_weights(self, input_shape: Shape, weights: Mapping[str, Array]) -> None:
        """Build the model with these weights, named as in `named_weights`.

        All shapes are compared before anything is made of their size.

        Raises:
            ShapeError: a weight is missing, too many, or of another shape than its layer needs.
        """
        wanted: dict[str, tuple[int, ...]] = {}
        shape = tuple(input_shape)
        for layer in self.layers:
            self._check_input(layer, shape)
            for name, weight_shape in layer.weight_shapes(shape).items():
                wanted[f"{layer.name}/{name}"] = weight_shape
            shape = layer.compute_output_shape(shape)
        given = {name: weight.shape for name, weight in weights.items()}
        if given != wanted:
            name = next(n for n in (*wanted, *given) if given.get(n) != wanted.get(n))
            raise ShapeError(
                f"the weight {name} has shape {given.get(name, 'none')}, and the layers of the "
                f"model need {wanted.get(name, 'none')}"
            )
        if not isinstance(self._stack[0], InputLayer):
            self._stack.insert(0, InputLayer(batch_shape=input_shape))
        if self.input_shape != (shape := tuple(input_shape)):
            raise ShapeError(f"the Input has the shape {self.input_shape}, and the model {shape}")
        for layer in self.layers:
            layer.build(
                shape, {n: weights[f"{layer.name}/{n}"] for n in layer.weight_shapes(shape)}
            )
            shape = layer.compute_output_shape(shape)

    def count_params(self) -> int:
        """How many numbers the weights hold."""
        return sum(layer.count_params() for layer in self.layers)

    # What training and prediction ask of a model.

    def prepare(self, x: Any, batch_size: int | None) -> Array:
        """``x`` as the array the first layer reads; builds a model that is not built.

        A declared last axis of 1 may be missing from x, as in Keras.
        """
        if not self.layers:
            raise ValueError(f"the model {self.name!r} has no layers")
        first = self._stack[0]
        data = first.read(x) if isinstance(first, InputLayer) else x
        array = self.layers[0].cast(data, "x")
        if not array.ndim:
            raise ShapeError(f"x is one number, {x!r}, and an array of rows is needed")
        if not self.built:
            self.build((_fixed_batch(len(array), batch_size), *array.shape[1:]))
        axes, last = len(self.input_shape), self.input_shape[-1]
        if last == 1 and array.ndim == axes - 1:
            array = array[..., None]
        elif array.ndim == axes + 1 and array.shape[-1] == 1:
            array = array[..., 0]
        rows = min(len(array), batch_size or len(array))
        self.compute_output_shape((rows, *array.shape[1:]))
        return array

    def prediction_like(self, x: Array, rows: int) -> Array:
        """An empty array of the prediction's shape and dtype."""
        shape = self.layers[0].build_shape
        fixed = shape[0] if shape else None
        _, *rest = self.compute_output_shape((fixed, *x.shape[1:]))
        return np.empty((rows, *(int(n or 0) for n in rest)), self.layers[-1].dtype)

    def run(
        self,
        x: Array,
        training: bool,
        keep_cache: bool,
        mask: Array | None = None,
        link: str | None = None,
    ) -> Pass:
        """The prediction for one batch, and what comes with it.

        Args:
            x: as `prepare` gives it.
            training: whether dropout drops.
            keep_cache: keep what `backpropagate` needs.
            mask: [B,T], for the first layer.
            link: an activation behind which the logits are wanted, where it is the last thing done.
        """
        forward = self.run_piece(x, None, training, keep_cache, mask, link)
        self.keep_states(forward.states)
        return forward

    def run_piece(
        self,
        x: Array,
        states: Sequence[Any] | None,
        training: bool,
        keep_cache: bool,
        mask: Array | None = None,
        link: str | None = None,
        last: bool = True,
    ) -> Pass:
        """`run` for a piece of the sequences of a batch; see `lstm_ref.layers.pieces`.

        Args:
            x, training, keep_cache, mask, link: see `run`.
            states: those the piece before this one ended with; None at the beginning.
            last: whether the sequences end here. If not, the pass ends with the layer, if any, that
                gives one output for a whole sequence, and y is none that counts.
        """
        kept: list[Kept] = []
        penalty = 0.0
        logits: Array | None = None
        after: list[Any] = [None] * len(self.layers)
        before = states or [None] * len(after)
        for n, layer in enumerate(self.layers):
            x = layer.cast(x, f"the input of layer {layer.name!r}")
            self._check_input(layer, x.shape)
            linked = link is not None and n == len(after) - 1 and layer.final_activation == link
            keep = keep_cache or linked or layer.penalizes_activity
            y, after[n], cache = layer.forward_from(x, before[n], mask, training, keep)
            if keep_cache:
                kept.append(Kept(cache, y))
            mask, x = layer.compute_mask(x, mask), y
            if not last and ends_sequences(layer):
                break
            if linked:
                logits = layer.logits(cache)
            penalty += layer.activity_penalty(y, cache)
        return Pass(x, mask, kept, penalty, logits, after)

    def keep_states(self, states: Sequence[Any]) -> None:
        """Let stateful layers go on from these states, with which a batch ended."""
        for layer, state in zip(self.layers, states, strict=True):
            layer.keep(state)

    def backpropagate(
        self, d_y: Array, kept: list[Kept], from_logits: bool = False
    ) -> dict[str, Array]:
        """The gradients on the trainable weights by name, those of penalties included.

        Args:
            d_y: the gradient on the prediction.
            kept: of the pass that made it.
            from_logits: d_y is the gradient on the logits instead.
        """
        return self.with_penalties(
            {
                f"{back.layer.name}/{name}": gradient
                for back in self.backward_pass(d_y, kept, from_logits, weights_alone=True)
                for name, gradient in back.weights.items()
            }
        )

    def with_penalties(self, gradients: Mapping[str, Array]) -> dict[str, Array]:
        """The gradients of the trainable weights, those of their regularizers added."""
        whole = dict(gradients)
        for layer in self.layers:
            for name, regularizer in layer.regularized().items():
                of_weight = f"{layer.name}/{name}"
                whole[of_weight] = whole[of_weight] + regularizer.gradient(layer.params[name])
        return {name: whole[name] for name in self._trainable_names()}

    def backward_pass(
        self,
        d_y: Array | None,
        kept: list[Kept],
        from_logits: bool = False,
        d_states: Sequence[Any] | None = None,
        weights_alone: bool = False,
    ) -> Iterator[Backward]:
        """The way back, a layer at a time from the last to the first; arguments as above.

        Args:
            d_y: None for a piece that does not come to an output that counts.
            d_states: the gradients on the states that the pass ended with, None for zeros.
            weights_alone: only as far as there are weights that are trained: the lowest layer that
                has some is the last one, and the gradient on its input is not looked at.
        """
        layers = self.layers[: len(kept)]
        d_after = [None] * len(kept) if d_states is None else d_states[: len(kept)]
        lowest = 0
        if weights_alone:
            learning = (n for n, layer in enumerate(layers) if layer.trainable_names)
            lowest = next(learning, len(layers))
        each = list(enumerate(zip(layers, kept, d_after, strict=True)))
        for n, (layer, (cache, y), d_state) in reversed(each[lowest:]):
            more = None if d_y is None else layer.activity_gradient(y)
            d_y = np.zeros_like(y) if d_y is None else d_y.astype(y.dtype, copy=False)
            if from_logits:  # of the last layer
                d_before = None
                d_x, of_layer = layer.backward_from_logits(d_y, cache)
                if more is not None:
                    d_more, gradients_more = layer.backward(more, cache)
                    d_x = d_x + d_more
                    of_layer = {n: g + gradients_more[n] for n, g in of_layer.items()}
            else:
                d_y = d_y if more is None else d_y + more
                for_x = n > lowest or not weights_alone
                d_x, d_before, of_layer = layer.backward_to(d_y, d_state, cache, for_x)
            yield Backward(layer, cache, d_y, d_x, of_layer, d_before)
            d_y, from_logits = d_x, False

    @property
    def losses(self) -> list[float]:
        """The penalties on the weights that are trained, layer by layer."""
        return [penalty for layer in self.layers for penalty in layer.losses]

    def weight_penalty(self) -> float:
        """What the regularizers of the weights add to the loss."""
        return sum(self.losses)

    def trainable_params(self) -> dict[str, Array]:
        """The trainable weights by name."""
        named = self.named_weights()
        return {name: named[name] for name in self._trainable_names()}

    def _trainable_names(self) -> list[str]:
        return [f"{layer.name}/{name}" for layer in self.layers for name in layer.trainable_names]

    def assign_params(self, weights: Mapping[str, Array]) -> None:
        """Replace weights by name."""
        for layer in self.layers:
            start = f"{layer.name}/"
            of_layer = {n.removeprefix(start): w for n, w in weights.items() if n.startswith(start)}
            layer.assign(of_layer)

    def constrain(self, weights: Mapping[str, Array]) -> dict[str, Array]:
        """New weights by name, those with a constraint made to satisfy it."""
        constraints = {
            f"{layer.name}/{name}": constraint
            for layer in self.layers
            for name, constraint in layer.constrained().items()
        }
        return {
            name: constraints[name](weight) if name in constraints else weight
            for name, weight in weights.items()
        }

    def restart_dropout(self) -> None:
        """Let what all layers drop begin anew, so that the next pass drops what the first did."""
        for layer in self.layers:
            layer.restart_dropout()

    # What layers remember besides their weights.

    def dropout_state(self) -> dict[str, Any]:
        """Where every generator of dropout stands, by layer and part; JSON-able.

        With it a training goes on dropping what it would have dropped uninterrupted.
        """
        return {name: dropper.state() for name, dropper in self._droppers().items()}

    def restore_dropout_state(self, state: Mapping[str, Any]) -> None:
        """Let all of them go on from there.

        Raises:
            ModelFormatError: the state of other layers, or none at all.
        """
        droppers = self._droppers()
        if set(state) != set(droppers):
            raise ModelFormatError(
                f"this is the state of dropout in {_listed(state)}, and the model has it in "
                f"{_listed(droppers)}: it belongs to a model with the same layers"
            )
        for name, dropper in droppers.items():
            dropper.restore_state(state[name])

    def _droppers(self) -> dict[str, Dropper]:
        """The generators of dropout by name: "dropout", "lstm", "rnn/lstm_cell"."""
        return {
            joined(layer.name, part): dropper
            for layer in self.layers
            for part, dropper in layer.droppers.items()
        }

    def layer_states(self) -> dict[str, Array]:
        """The states that stateful layers go on from, copies, by name: "lstm/h", "lstm/c".

        A layer whose next batch begins from zeros has none.
        """
        return {
            f"{layer.name}/{name}": array.copy()
            for layer in self.layers
            for name, array in layer.kept_states().items()
        }

    def restore_layer_states(self, states: Mapping[str, Array]) -> None:
        """Let every stateful layer go on from these states; one that has none here from zeros.

        Raises:
            ModelFormatError: states of other layers, or some of a layer's and not all.
            ShapeError: an array of another shape.
        """
        wanted = {layer.name: layer.state_shapes() for layer in self.layers}
        for name, shapes in wanted.items():
            there = [f"{name}/{n}" in states for n in shapes]
            if any(there) and not all(there):
                raise ModelFormatError(
                    f"of the states of layer {name!r}, {_listed(shapes)}, only some came"
                )
        known = {f"{name}/{n}": s for name, shapes in wanted.items() for n, s in shapes.items()}
        for name, array in states.items():
            if name not in known:
                raise ModelFormatError(
                    f"there is no state {name!r}: the stateful layers of the model have "
                    f"{_listed(known)}"
                )
            if np.shape(array) != known[name]:
                raise ShapeError(
                    f"the state {name!r} has shape {np.shape(array)}, and the layer needs "
                    f"{known[name]}, (batch, units): a stateful layer keeps its batch size"
                )
        for layer in self.layers:
            names = wanted[layer.name]
            of_layer = {n: states[whole] for n in names if (whole := f"{layer.name}/{n}") in states}
            layer.restore_states(of_layer)

    def makes_masks(self) -> bool:
        """Whether some layer finds padding, as `Masking` does."""
        return any(layer.makes_masks for layer in self.layers)

    # Called directly.

    def __call__(self, x: Any, training: bool = False, mask: Any = None) -> Array:
        """The prediction for x as one batch; ``mask`` [B,T] goes to the first layer."""
        mask = carried_mask(x) if mask is None else mask
        return self.run(self.prepare(x, None), training, keep_cache=False, mask=mask).y

    def reset_states(self) -> None:
        """Let every stateful layer's next batch begin from zeros."""
        for layer in self.layers:
            if hasattr(layer, "reset_state"):
                layer.reset_state()


def _fixed_batch(rows: int, batch_size: int | None) -> int | None:
    """The batch axis of a model that is built from its data: known where all batches are alike."""
    batch = min(rows, batch_size or rows)
    return batch if batch and rows % batch == 0 else None


def _listed(names: Iterable[str]) -> str:
    """Names in a sentence."""
    return ", ".join(names) or "no layer"
