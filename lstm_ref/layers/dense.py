"""The dense head, applied at every time step. Keras: ``keras.layers.Dense``."""

from dataclasses import replace
from typing import Any

from lstm_ref.backend import dense_backward, dense_forward
from lstm_ref.conventions import Array
from lstm_ref.errors import ShapeError
from lstm_ref.layers import constraints, initializers, regularizers
from lstm_ref.layers.across_units import activated, back_through
from lstm_ref.layers.base import (
    Layer,
    Shape,
    activation_entry,
    constraint_of,
    positive,
    refuse,
    regularizer_of,
)
from lstm_ref.spec.activations import activation_id
from lstm_ref.spec.parameters import DenseCache
from lstm_ref.spec.softmax import ACROSS_UNITS


class Dense(Layer):
    """``activation(x W + b)`` on the last axis: x[..., H] becomes [..., K], K being `units`.

    Behind an LSTM with ``return_sequences=True`` this is one output vector per time step, the
    same as Keras' TimeDistributed(Dense). A mask passes through unchanged: a masked step still
    has an output (that of the hidden state repeated there), and the loss does not count it.

    Args:
        units: K, the number of outputs.
        activation: a name; None for linear. Besides those of `LSTM`, "softmax" and "log_softmax",
            over the K outputs.
        use_bias, kernel_initializer, bias_initializer: as in Keras.
        kernel_regularizer, bias_regularizer: see `lstm_ref.regularizers`.
        kernel_constraint, bias_constraint: see `lstm_ref.constraints`.
        activity_regularizer: see `Layer`.
        The LoRA and quantization of Keras are refused by name.
    """

    def __init__(
        self,
        units: int,
        activation: str | None = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: Any = None,
        lora_alpha: Any = None,
        quantization_config: Any = None,
        **common: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **common)
        refuse(
            "Dense",
            {
                "lora_rank": lora_rank,
                "lora_alpha": lora_alpha,
                "quantization_config": quantization_config,
            },
        )
        self.units = positive(units, "Dense")
        self.activation = activation_id(activation, across_units=True)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self._regularizers = {
            "kernel": regularizers.get(kernel_regularizer),
            "bias": regularizers.get(bias_regularizer),
        }
        self._constraints = {
            "kernel": constraints.get(kernel_constraint),
            "bias": constraints.get(bias_constraint),
        }

    def weight_shapes(self, input_shape: Shape) -> dict[str, tuple[int, ...]]:
        """kernel [H,K] and bias [K]."""
        shapes: dict[str, tuple[int, ...]] = {"kernel": (int(input_shape[-1] or 0), self.units)}
        if self.use_bias:
            shapes["bias"] = (self.units,)
        return shapes

    def first_weight(self, name: str, shape: tuple[int, ...]) -> Array:
        """From the initializer of that weight."""
        initializer = self.kernel_initializer if name == "kernel" else self.bias_initializer
        return initializer(shape, self.dtype)

    def check_input(self, shape: Shape) -> None:
        """At least (batch, features), with the feature count of the weights."""
        where = f"layer {self.name!r} (Dense) got an input of shape {shape}"
        if len(shape) < 2:
            raise ShapeError(
                f"{where}, and reads (batch, ..., features); for one row use x[None], for one "
                "feature per row x[:, None]"
            )
        if shape[-1] is None:
            raise ShapeError(f"{where}: the number of features, the last axis, must be known")
        if self.built and shape[-1] != self.params["kernel"].shape[0]:
            raise ShapeError(
                f"{where}, {shape[-1]} features on the last axis, and its weights were made for "
                f"{self.params['kernel'].shape[0]}"
            )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The last axis becomes K."""
        return (*input_shape[:-1], self.units)

    def forward(
        self,
        x: Array,
        mask: Array | None = None,  # noqa: ARG002
        training: bool = False,  # noqa: ARG002
        keep_cache: bool = False,
    ) -> tuple[Array, DenseCache | None]:
        """y[..., K], and what ``backward`` needs."""
        weights = self.params
        after = self.activation if self.activation in ACROSS_UNITS else None
        of_each = "linear" if after else self.activation
        output = dense_forward(x, weights["kernel"], weights.get("bias"), of_each, keep_cache)
        if after is None:
            return output.y, output.cache
        y, cache = activated(after, output.y), output.cache
        return y, None if cache is None else replace(cache, activation=after, y=y)

    def backward(self, d_y: Array, cache: DenseCache) -> tuple[Array, dict[str, Array]]:
        """The gradient on x, and those on kernel and bias."""
        if cache.activation in ACROSS_UNITS:
            z = self.logits(cache)
            return self.backward_from_logits(back_through(cache.activation, d_y, z, cache.y), cache)
        gradients = dense_backward(d_y, cache)
        by_name = {"kernel": gradients.d_kernel}
        if gradients.d_bias is not None:
            by_name["bias"] = gradients.d_bias
        return gradients.d_h, by_name

    @property
    def final_activation(self) -> str | None:  # type: ignore[override]
        """The activation, where it is known by its name alone."""
        return self.activation if isinstance(self.activation, str) else None

    def logits(self, cache: DenseCache) -> Array:
        """x W + b, [...,K]."""
        return cache.z.reshape(cache.y.shape)

    def backward_from_logits(self, d_z: Array, cache: DenseCache) -> tuple[Array, dict[str, Array]]:
        """`backward` for a gradient on x W + b."""
        return self.backward(d_z, replace(cache, activation="linear", y=self.logits(cache)))

    @property
    def kernel(self) -> Array:
        """W[H,K], read-only."""
        return self.weight("kernel")

    @property
    def bias(self) -> Array | None:
        """b[K], read-only; None without a bias."""
        return self.weight("bias") if self.use_bias else None

    kernel_regularizer = regularizer_of("kernel")
    bias_regularizer = regularizer_of("bias")
    kernel_constraint = constraint_of("kernel")
    bias_constraint = constraint_of("bias")

    def get_config(self) -> dict[str, Any]:
        """See `Layer.get_config`."""
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activation_entry(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            **{
                f"{name}_regularizer": regularizers.serialize(regularizer)
                for name, regularizer in self._regularizers.items()
            },
            **{
                f"{name}_constraint": constraints.serialize(constraint)
                for name, constraint in self._constraints.items()
            },
        }
