"""What every layer is: a name, a dtype, weights in Keras' order, and a pass each way.

A layer computes with pure functions: ``forward`` returns its cache, ``backward`` takes it. What a
layer itself keeps are its weights. They are replaced when training changes them, never written
into, so an array taken from a layer stays what it was.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from lstm_ref.checks import is_whole, real_array
from lstm_ref.conventions import Array
from lstm_ref.errors import ModelFormatError, ShapeError, UnsupportedError
from lstm_ref.layers import regularizers
from lstm_ref.layers.carried_mask import carried_mask, with_mask
from lstm_ref.layers.constraints import Constraint
from lstm_ref.layers.dropping import Dropper
from lstm_ref.layers.regularizers import Regularizer
from lstm_ref.layers.session import auto_name, dtype_name
from lstm_ref.spec.activations import ActivationId
from lstm_ref.spec.parameters import fixed

Shape = tuple[int | None, ...]
"""A shape whose unknown lengths, usually the batch and the time axis, are None."""


class Layer:
    """The part common to all layers.

    Args:
        name: how messages, weight names and files call it; None counts up ("lstm", "lstm_1").
        dtype: "float32" or "float64"; None for `floatx`.
        trainable: whether ``fit`` changes the weights.
        activity_regularizer: a penalty on the layer's output, divided by the rows of the batch and
            added to the loss; see `lstm_ref.regularizers`.
        input_shape, batch_input_shape, batch_shape, input_dim, input_length: on a model's first
            layer, the shape of the data, without or with the batch axis, or by its parts.
        refused: everything else, named in the error.
    """

    def __init__(
        self,
        *,
        name: str | None = None,
        dtype: Any = None,
        trainable: bool = True,
        activity_regularizer: Any = None,
        input_shape: Sequence[int | None] | None = None,
        batch_input_shape: Sequence[int | None] | None = None,
        batch_shape: Sequence[int | None] | None = None,
        input_dim: int | None = None,
        input_length: int | None = None,
        autocast: bool = True,
        **refused: Any,
    ) -> None:
        kind = type(self).__name__
        for argument in refused:
            raise UnsupportedError(f"{kind}({argument}=...): there is no such argument here")
        if not autocast:
            raise UnsupportedError(
                f"{kind}(autocast=False) is not supported: inputs are cast to the layer's dtype"
            )
        if name is not None and "/" in str(name):
            raise ValueError(
                f"{kind}(name={name!r}): the name of a layer has no '/', which stands between it "
                "and the names of its weights"
            )
        self.name = auto_name(kind) if name is None else str(name)
        self.dtype = dtype_name(dtype)
        self._trainable = bool(trainable)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.built = False
        self.build_shape: Shape | None = None
        self._weights: dict[str, Array] = {}
        self._regularizers: dict[str, Regularizer | None] = {}
        self._constraints: dict[str, Constraint | None] = {}

        self.declared_shape: Shape | None = None
        """The input shape given with the layer, batch axis first; None when none was."""
        if (whole := batch_input_shape or batch_shape) is not None:
            self.declared_shape = axes(whole, "batch_shape", self.input_axes)
        elif input_shape is not None:
            inner = None if self.input_axes is None else self.input_axes - 1
            self.declared_shape = (None, *axes(input_shape, "input_shape", inner))
        elif input_dim is not None:
            self.declared_shape = self.shape_from_parts(input_length, input_dim)

    # What a layer kind defines.

    input_axes: int | None = None
    """How many axes an input has, the batch axis included; None where any number will do."""

    @property
    def reads_sequences(self) -> bool:
        """Whether an input must have a time axis."""
        return self.input_axes == 3

    makes_masks = False
    """Whether `compute_mask` finds padding that nobody has told it of."""

    outputs = 1
    """How many arrays a call gives."""

    def shape_from_parts(self, input_length: int | None, input_dim: int) -> Shape:
        """The input shape that Keras 2's ``input_length`` and ``input_dim`` mean here."""
        return (None, input_dim) if input_length is None else (None, input_length, input_dim)

    def weight_shapes(self, input_shape: Shape) -> dict[str, tuple[int, ...]]:  # noqa: ARG002
        """The weights for inputs of this shape, by name and in Keras' order. None by default."""
        return {}

    def first_weight(self, name: str, shape: tuple[int, ...]) -> Array:
        """A weight before training."""
        raise NotImplementedError

    def check_input(self, shape: Shape) -> None:
        """Raise ShapeError when inputs of this shape do not belong here."""

    def compute_output_shape(self, input_shape: Shape) -> Any:
        """The shape that comes out for an input of this shape, or those of several outputs."""
        return input_shape

    def compute_mask(self, x: Array, mask: Array | None = None) -> Any:  # noqa: ARG002
        """The mask [B,T] of the layer's output, from that of its input ``x``; one an output."""
        return mask

    def forward(
        self,
        x: Array,
        mask: Array | None = None,
        training: bool = False,
        keep_cache: bool = False,
    ) -> tuple[Array, Any]:
        """The output for ``x``, of the layer's dtype, and what ``backward`` needs (or None)."""
        raise NotImplementedError

    def backward(self, d_y: Array, cache: Any) -> tuple[Array, dict[str, Array]]:
        """The gradient on the input, and those on the weights by name."""
        raise NotImplementedError

    def forward_from(
        self,
        x: Array,
        state: Any = None,  # noqa: ARG002
        mask: Array | None = None,
        training: bool = False,
        keep_cache: bool = False,
    ) -> tuple[Array, Any, Any]:
        """`forward` for a piece of a sequence: from a state, and with the state after it.

        The layer itself does not change. A layer without memory has no state, and its pieces are
        sequences like others.

        Args:
            x, mask, training, keep_cache: see `forward`.
            state: what the piece before this one ended with; None at the beginning.

        Returns:
            The output, the state after the piece, and what `backward_to` needs (or None).
        """
        y, cache = self.forward(x, mask, training, keep_cache)
        return y, None, cache

    def backward_to(
        self,
        d_y: Array,
        d_state: Any,  # noqa: ARG002
        cache: Any,
        for_x: bool = True,  # noqa: ARG002
    ) -> tuple[Array, Any, dict[str, Array]]:
        """`backward` for a piece: also takes the gradient on the state after it.

        Args:
            d_y, cache: see `backward`.
            d_state: the gradient on the state after the piece; None for zeros.
            for_x: False where nobody looks at the gradient on the input, so that it may be
                anything: a layer may spare itself the work.

        Returns:
            The gradient on the input, that on the state before the piece, and those on the weights.
        """
        d_x, gradients = self.backward(d_y, cache)
        return d_x, None, gradients

    def keep(self, state: Any) -> None:
        """Take note of the state a sequence ended with: a stateful layer goes on from there."""

    final_activation: str | None = None
    """What is done last, where a loss may look behind it: "softmax" and "sigmoid" are asked for."""

    def logits(self, cache: Any) -> Array:
        """What `final_activation` was applied to, of the output's shape."""
        raise NotImplementedError

    def backward_from_logits(self, d_z: Array, cache: Any) -> tuple[Array, dict[str, Array]]:
        """`backward` for a gradient on `logits` instead of on the output."""
        raise NotImplementedError

    @property
    def parts(self) -> Mapping[str, "Layer"]:
        """The layers inside, by name, in the order of Keras' weights. None by default."""
        return {}

    # What all of them do alike.

    def __call__(self, inputs: Any, *, mask: Any = None, training: bool | None = None) -> Any:
        """The layer's output for ``x``, a NumPy array. The first call builds the weights.

        Args:
            inputs: x, as the layer reads it.
            mask: [B,T], True where the step is real; None for the one that x carries, if an
                earlier layer gave it one (`lstm_ref.layers.carried_mask`).
            training: True lets dropout drop. None is False.
        """
        mask = carried_mask(inputs) if mask is None else mask
        x = self.read(inputs)
        mask = None if mask is None else self.checked_mask(x, mask)
        y, _ = self.forward(x, mask, bool(training))
        if np.may_share_memory(y, x):
            y = y.copy()  # whoever writes into the output leaves the input alone
        return with_mask(y, self.compute_mask(x, mask))

    def checked_mask(self, x: Array, mask: Any) -> Array:
        """``mask`` as bool, one for each row and step of x, [B,T], or for what a step is made of.

        Raises:
            ShapeError: it does not have the first axes of x.
        """
        steps = np.asarray(mask)
        if steps.shape[:2] != x.shape[: steps.ndim][:2]:
            raise ShapeError(
                f"layer {self.name!r} ({type(self).__name__}) got a mask of shape {steps.shape} "
                f"for an input of shape {x.shape}: the first two axes, batch and time, must be the "
                "same"
            )
        return steps.astype(bool, copy=False)

    def read(self, x: Any) -> Array:
        """``x`` as an array of the layer's dtype, its shape checked; builds the layer if needed."""
        if isinstance(x, Layer):
            raise UnsupportedError(
                f"layer {self.name!r} was called on layer {x.name!r}: the functional API is not "
                "supported yet. Where layers follow each other, Sequential([...]) makes the model"
            )
        array = self.cast(x, f"the input of layer {self.name!r}")
        if not self.built:
            self.build(array.shape)
        self.check_input(array.shape)
        return array

    def cast(self, x: Any, name: str) -> Array:
        """``x`` as an array of what the layer computes with; ``name`` is for messages."""
        return real_array(x, name, np.dtype(self.dtype))

    def build(
        self, input_shape: Sequence[int | None], weights: Mapping[str, Array] | None = None
    ) -> None:
        """Make the weights for inputs of this shape, batch axis included. Once only.

        Args:
            input_shape: with None for lengths that are not known.
            weights: given values, by name; None for those of the initializers.
        """
        if self.built:
            return
        shape = tuple(input_shape)
        self.check_input(shape)
        for name, weight_shape in self.weight_shapes(shape).items():
            value = self.first_weight(name, weight_shape) if weights is None else weights[name]
            self._weights[name] = fixed(value.astype(self.dtype, copy=False))
        self.build_shape = shape
        self.built = True

    @property
    def params(self) -> Mapping[str, Array]:
        """The weights by name, in Keras' order. Not to be written into: see `assign`."""
        return self._weights

    def assign(self, weights: Mapping[str, Array]) -> None:
        """Replace the named weights, each by an array of the same shape.

        Raises:
            ShapeError: another shape, or a weight the layer does not have.
        """
        self.take_over({name: self._checked(name, value) for name, value in weights.items()})

    def take_over(self, weights: Mapping[str, Array]) -> None:
        """`assign` for arrays that fit: of the shapes and the dtype of those they replace."""
        for name, array in weights.items():
            self._weights[name] = fixed(array)

    def _checked(self, name: str, value: Any) -> Array:
        """``value`` as an array that may take the place of the named weight."""
        whole, held = f"{self.name}/{name}", self.params
        if name not in held:
            raise ShapeError(f"there is no weight {whole}: {self._inventory()}")
        array = real_array(value, whole, np.dtype(self.dtype))
        if array.shape != (shape := held[name].shape):
            raise ShapeError(
                f"{whole} has shape {shape}, and an array of shape {array.shape} came for it: "
                f"{self._inventory()}"
            )
        return array

    def get_weights(self) -> list[Array]:
        """Copies of the weights, in Keras' order: kernel, recurrent_kernel, bias."""
        return [weight.copy() for weight in self.params.values()]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Copy these arrays into the layer, in the order of `get_weights`.

        Raises:
            ShapeError: another number of arrays, or one of another shape, naming the weight.
        """
        if not self.built:
            raise ShapeError(
                f"layer {self.name!r} has no weights yet: build it first, with the shape of its "
                "input, for example layer.build((None, None, features))"
            )
        if len(weights) != len(self.params):
            raise ShapeError(
                f"layer {self.name!r} takes {len(self.params)} arrays, and {len(weights)} came: "
                f"{self._inventory()}"
            )
        self.assign({name: np.array(w) for name, w in zip(self.params, weights, strict=True)})

    @property
    def trainable(self) -> bool:
        """Whether ``fit`` changes the weights. Setting it sets it for the layers inside, too."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        for part in self.parts.values():
            part.trainable = value

    @property
    def trainable_names(self) -> list[str]:
        """The names of the weights that ``fit`` changes: all, or none when not `trainable`."""
        return list(self.params) if self.trainable else []

    def _inventory(self) -> str:
        """The weights and their shapes, for messages."""
        held = ", ".join(f"{name} {weight.shape}" for name, weight in self.params.items())
        return f"layer {self.name!r} ({type(self).__name__}) has {held or 'no weights'}"

    @property
    def weights(self) -> list[Array]:
        """The weights as read-only arrays; `set_weights` changes them."""
        return [read_only(weight) for weight in self.params.values()]

    @property
    def trainable_weights(self) -> list[Array]:
        """The weights that ``fit`` changes: all, or none when `trainable` is False."""
        return [read_only(self.params[name]) for name in self.trainable_names]

    @property
    def non_trainable_weights(self) -> list[Array]:
        """The weights that ``fit`` leaves alone."""
        trained = self.trainable_names
        return [read_only(w) for name, w in self.params.items() if name not in trained]

    def weight(self, name: str) -> Array:
        """One weight, read-only."""
        if not self.built:
            raise AttributeError(f"layer {self.name!r} has no weights before it is built")
        return read_only(self.params[name])

    def count_params(self) -> int:
        """How many numbers the weights hold."""
        if not self.built:
            raise ValueError(
                f"layer {self.name!r} is not built, so its weights have no shape yet: call it on "
                "data or build it with the shape of its input"
            )
        return sum(math.prod(weight.shape) for weight in self.params.values())

    # Penalties and constraints: what training adds to the loss, and to the new weights.

    def regularized(self) -> dict[str, Regularizer]:
        """The regularizers by the names of the weights that are trained with them."""
        given = {n: r for n, r in self._regularizers.items() if r is not None}
        names = self.trainable_names if given else ()
        return {name: given[name] for name in names if name in given}

    def constrained(self) -> dict[str, Constraint]:
        """The constraints by the names of the weights they are on."""
        given = {n: c for n, c in self._constraints.items() if c is not None}
        names = self.params if given else ()
        return {name: given[name] for name in names if name in given}

    @property
    def losses(self) -> list[float]:
        """The penalties on the weights, one for each that has a regularizer."""
        return [penalty(self.params[name]) for name, penalty in self.regularized().items()]

    @property
    def penalizes_activity(self) -> bool:
        """Whether its outputs are penalized, or those of a layer inside."""
        inside = any(part.penalizes_activity for part in self.parts.values())
        return inside or self.activity_regularizer is not None

    def activity_penalty(self, outputs: Any, cache: Any) -> float:  # noqa: ARG002
        """The penalty on the outputs of a call, each divided by its rows; 0 where there are none.

        Keras: ``keras.Layer.__call__``. ``cache`` is what `forward` kept.
        """
        if self.activity_regularizer is None:
            return 0.0
        arrays = outputs if isinstance(outputs, tuple) else (outputs,)
        return sum(self.activity_regularizer(y) / len(y) for y in arrays if len(y))

    def activity_gradient(self, y: Array) -> Array | None:
        """The gradient of that penalty on one output; None where there is none."""
        if self.activity_regularizer is None or not len(y):
            return None
        gradient: Array = self.activity_regularizer.gradient(y) / y.dtype.type(len(y))
        return gradient

    def restart_dropout(self) -> None:
        """Let what is dropped begin anew, so that the next call drops what the first one did."""

    # What a layer remembers besides its weights.

    @property
    def droppers(self) -> Mapping[str, Dropper]:
        """Where its dropout factors come from, by the name of the part that drops; "" for itself.

        A rate of 0 draws nothing, and has no place here.
        """
        return {}

    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """The arrays that a stateful layer keeps from batch to batch, by name. None by default."""
        return {}

    def kept_states(self) -> dict[str, Array]:
        """Those arrays; none where the next batch begins from zeros."""
        return {}

    def restore_states(self, states: Mapping[str, Array]) -> None:
        """Go on from these arrays, all of them or none."""

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments under Keras' names, JSON-able."""
        config = {"name": self.name, "trainable": self.trainable, "dtype": self.dtype}
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The layer that `get_config` described, with new weights."""
        try:
            return cls(**config)
        except TypeError as error:
            raise ModelFormatError(
                f"a {cls.__name__} layer cannot have {config}: {error}"
            ) from error

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def regularizer_of(weight: str) -> property:
    """The regularizer of a weight, or None, as an attribute of a layer."""
    return property(
        lambda layer: getattr(layer, "_regularizers").get(weight),  # noqa: B009  (a name of ours)
        doc=f"The regularizer of {weight}, or None.",
    )


def constraint_of(weight: str) -> property:
    """The constraint on a weight, or None, as an attribute of a layer."""
    return property(
        lambda layer: getattr(layer, "_constraints").get(weight),  # noqa: B009  (a name of ours)
        doc=f"The constraint on {weight}, or None.",
    )


def axes(shape: Any, argument: str, count: int | None) -> Shape:
    """A shape that was given as an argument, as a tuple.

    Raises:
        TypeError: a number instead of a tuple.
        ShapeError: another number of axes than ``count``.
    """
    if not isinstance(shape, Sequence) or isinstance(shape, str):
        raise TypeError(
            f"{argument}={shape!r}: a tuple is needed, for example {argument}=(10, 1) for 10 time "
            "steps of one feature"
        )
    if count is not None and len(shape) != count:
        what, meaning = {
            1: ("this layer", "(features,) without the batch axis, for example (3,)"),
            2: ("an LSTM", "(time, features) without the batch axis, for example (10, 1)"),
            3: ("an LSTM", "(batch, time, features), for example (None, 10, 1)"),
        }[count]
        raise ShapeError(f"{argument}={tuple(shape)}: {what} needs {meaning}")
    return tuple(shape)


def read_only(array: Array) -> Array:
    """A view that refuses to be written into."""
    view = array.view()
    view.flags.writeable = False
    return view


def activation_entry(activation: ActivationId) -> str | list[Any]:
    """An activation as a config holds it: a name, or a name and its parameters in a list."""
    return activation if isinstance(activation, str) else list(activation)


def positive(number: Any, kind: str, argument: str = "units") -> int:
    """``number`` as an int.

    Raises:
        ValueError: not a positive whole number.
    """
    if not is_whole(number, 1):
        raise ValueError(f"{kind}({argument}={number!r}): a positive whole number is needed")
    return int(number)


def refuse(kind: str, arguments: Mapping[str, Any], advice: str = "") -> None:
    """Raise for the first of Keras' arguments that is given and not supported yet.

    ``arguments`` holds their values; None, False, 0 and their like are the defaults.

    Raises:
        UnsupportedError: naming the argument.
    """
    for name, value in arguments.items():
        if value:
            raise UnsupportedError(
                f"{kind}({name}={value!r}) is not supported yet{advice and ': ' + advice}"
            )
