"""The LSTM layer: Keras' vocabulary over the core of `lstm_ref.backend`.

Keras: ``keras.layers.LSTM``.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lstm_ref.backend import lstm_backward, lstm_forward
from lstm_ref.checks import rank_advice
from lstm_ref.conventions import GATES, Array, split_gates
from lstm_ref.errors import ShapeError
from lstm_ref.layers import initializers
from lstm_ref.layers.base import Layer, Shape, positive_units, refuse
from lstm_ref.spec.activations import activation_id
from lstm_ref.spec.parameters import LSTMCache, LSTMConfig, LSTMOutput, LSTMParams


class LSTM(Layer):
    """Reads x[B,T,D] step by step; gives the last output [B,H], or all of them [B,T,H].

    The arguments, their order and their defaults are Keras'.

    Args:
        units: H, the width of the hidden and the cell state.
        activation: for the candidate and the output; None is linear.
        recurrent_activation: for the three gates; None is linear.
        use_bias, kernel_initializer, recurrent_initializer, bias_initializer: as in Keras.
        unit_forget_bias: begin with 1 as the forget gate's bias.
        return_sequences: the output at every time step instead of the last one alone.
        return_state: a call gives (output, h, c), h and c being the final state.
        go_backwards: read from the last step to the first; the outputs stay in that order.
        stateful: begin each batch with the state the one before it ended with, row by row. The
            batch size is then fixed by the input shape; `reset_state` begins anew.
        zero_output_for_mask: the output of a masked step is 0 instead of the one before it.
        seed: Keras' seed of the dropout, so without effect here.
        unroll, use_cudnn, implementation: how Keras computes; accepted, without effect on values.
        The regularizers, constraints and dropouts of Keras are refused by name.
    """

    def __init__(
        self,
        units: int,
        activation: str | None = "tanh",
        recurrent_activation: str | None = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        use_cudnn: bool | str = "auto",
        *,
        zero_output_for_mask: bool = False,
        implementation: int = 2,
        time_major: bool = False,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        refuse(
            "LSTM",
            {
                "kernel_regularizer": kernel_regularizer,
                "recurrent_regularizer": recurrent_regularizer,
                "bias_regularizer": bias_regularizer,
                "activity_regularizer": activity_regularizer,
                "kernel_constraint": kernel_constraint,
                "recurrent_constraint": recurrent_constraint,
                "bias_constraint": bias_constraint,
                "dropout": dropout,
                "recurrent_dropout": recurrent_dropout,
            },
        )
        refuse("LSTM", {"time_major": time_major}, "use x.swapaxes(0, 1)")
        self.units = positive_units(units, "LSTM")
        self.activation = activation_id(activation)
        self.recurrent_activation = activation_id(recurrent_activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.unit_forget_bias = bool(unit_forget_bias)
        self.seed = seed
        self.return_sequences = bool(return_sequences)
        self.return_state = bool(return_state)
        self.go_backwards = bool(go_backwards)
        self.stateful = bool(stateful)
        self.unroll, self.use_cudnn, self.implementation = unroll, use_cudnn, implementation
        self.zero_output_for_mask = bool(zero_output_for_mask)
        self._core_params: LSTMParams | None = None
        self.states: tuple[Array, Array] | None = None
        """A stateful layer's h and c, each [B,H]; None while they are zero."""

    # Shapes and weights.

    input_axes = 3

    def shape_from_parts(self, input_length: int | None, input_dim: int) -> Shape:
        """(batch, time, features) from Keras 2's ``input_length`` and ``input_dim``."""
        return (None, input_length, input_dim)

    def check_input(self, shape: Shape) -> None:
        """(batch, time, features), with the feature count of the weights and a fixed batch."""
        where = f"layer {self.name!r} (LSTM) got an input of shape {shape}"
        if len(shape) != 3:
            raise ShapeError(f"{where}: {rank_advice(len(shape))}")
        batch, _, features = shape
        if features is None:
            raise ShapeError(f"{where}: the number of features, the last axis, must be known")
        if self.built and features != (expected := self.params["kernel"].shape[0]):
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

    def weight_shapes(self, input_shape: Shape) -> dict[str, tuple[int, ...]]:
        """kernel [D,4H], recurrent_kernel [H,4H] and bias [4H]."""
        width = len(GATES) * self.units
        shapes: dict[str, tuple[int, ...]] = {
            "kernel": (int(input_shape[-1] or 0), width),
            "recurrent_kernel": (self.units, width),
        }
        if self.use_bias:
            shapes["bias"] = (width,)
        return shapes

    def first_weight(self, name: str, shape: tuple[int, ...]) -> Array:
        """From the initializer of that weight."""
        if name == "bias":
            return self._first_bias(shape)
        initializer = self.kernel_initializer if name == "kernel" else self.recurrent_initializer
        return initializer(shape, self.dtype)

    def _first_bias(self, shape: tuple[int, ...]) -> Array:
        """The bias before training. The forget gate's 1 keeps the cell state at first."""
        if not self.unit_forget_bias:
            return self.bias_initializer(shape, self.dtype)
        H = self.units
        bias = np.empty(shape, self.dtype)
        i, f, g, o = split_gates(bias)
        i[:] = self.bias_initializer((H,), self.dtype)
        f[:] = 1
        g[:], o[:] = self.bias_initializer((2 * H,), self.dtype).reshape(2, H)
        return bias

    def compute_output_shape(self, input_shape: Shape) -> Any:
        """[B,T,H] or [B,H]; with `return_state`, also those of h and c."""
        B, T, _ = input_shape
        state = (B, self.units)
        output = (B, T, self.units) if self.return_sequences else state
        return (output, state, state) if self.return_state else output

    def compute_mask(self, x: Array, mask: Array | None = None) -> Array | None:  # noqa: ARG002
        """The input's mask where there is an output for every step. Not reversed, as in Keras."""
        return mask if self.return_sequences else None

    # The two passes.

    def __call__(
        self,
        x: Any,
        mask: Any = None,
        training: bool = False,  # noqa: ARG002
        initial_state: Sequence[Any] | None = None,
    ) -> Any:
        """The output for x[B,T,D]: a NumPy array, or (output, h, c) with `return_state`.

        Args:
            x: [B,T,D].
            mask: [B,T], True where the step is real.
            training: without effect: this layer has no dropout.
            initial_state: [h0, c0], each [B,H]; None for zeros, or a stateful layer's state.
        """
        output = self._run(self.read(x), mask, initial_state, keep_cache=False)
        y = self._select(output)
        return (y, output.h, output.c) if self.return_state else y

    def forward(
        self,
        x: Array,
        mask: Array | None = None,
        training: bool = False,  # noqa: ARG002
        keep_cache: bool = False,
    ) -> tuple[Array, LSTMCache | None]:
        """The output, and what ``backward`` needs. A stateful layer goes on from its state."""
        output = self._run(x, mask, None, keep_cache)
        return self._select(output), output.cache

    def backward(self, d_y: Array, cache: LSTMCache) -> tuple[Array, dict[str, Array]]:
        """The gradient on x, and those on the weights; none flows into an earlier batch."""
        if self.return_sequences:
            gradients = lstm_backward(d_y, None, None, cache)
        elif cache.mask is None:
            gradients = lstm_backward(None, d_y, None, cache)
        else:  # the output of the last step, which is not h where that step is masked
            d_hs = np.zeros_like(cache.h)  # [B,T,H]
            d_hs[:, -1:] = d_y[:, None]
            gradients = lstm_backward(d_hs, None, None, cache)
        by_name = {
            "kernel": gradients.d_kernel,
            "recurrent_kernel": gradients.d_recurrent_kernel,
        }
        if gradients.d_bias is not None:
            by_name["bias"] = gradients.d_bias
        return gradients.d_x, by_name

    def _run(
        self, x: Array, mask: Any, initial_state: Sequence[Any] | None, keep_cache: bool
    ) -> LSTMOutput:
        """The core on x[B,T,D], from the given state, the kept one, or zeros."""
        if initial_state is not None and len(initial_state) != 2:
            raise ShapeError(
                f"initial_state holds {len(initial_state)} arrays, and an LSTM begins from two: "
                "[h0, c0], each (batch, units)"
            )
        given = self.states if initial_state is None else initial_state
        h0, c0 = (None, None) if given is None else given
        output = lstm_forward(x, self.core_params, self.core_config, mask, h0, c0, keep_cache)
        if self.stateful:
            self.states = (output.h.copy(), output.c.copy())
        return output

    def _select(self, output: LSTMOutput) -> Array:
        """All outputs, or that of the last step processed (0 when there was no step)."""
        if self.return_sequences:
            return output.hs
        return output.hs[:, -1] if output.hs.shape[1] else np.zeros_like(output.h)

    @property
    def core_params(self) -> LSTMParams:
        """The weights as the functional core takes them; the same object until one is replaced."""
        weights = tuple(self.params.values())
        if self._core_params is None or any(
            held is not weight
            for held, weight in zip(vars(self._core_params).values(), weights, strict=False)
        ):
            self._core_params = LSTMParams(*weights).fixed()
        return self._core_params

    @property
    def core_config(self) -> LSTMConfig:
        """The options as the functional core takes them."""
        return LSTMConfig(
            activation=self.activation,
            recurrent_activation=self.recurrent_activation,
            go_backwards=self.go_backwards,
            masked_output="zero" if self.zero_output_for_mask else "hold",
        )

    # What a caller looks at.

    def reset_state(self) -> None:
        """Let a stateful layer's next batch begin from zeros."""
        self.states = None

    def reset_states(self) -> None:
        """`reset_state`, by Keras 2's name."""
        self.reset_state()

    @property
    def kernel(self) -> Array:
        """W[D,4H], read-only."""
        return self.weight("kernel")

    @property
    def recurrent_kernel(self) -> Array:
        """U[H,4H], read-only."""
        return self.weight("recurrent_kernel")

    @property
    def bias(self) -> Array | None:
        """b[4H], read-only; None without a bias."""
        return self.weight("bias") if self.use_bias else None

    def get_config(self) -> dict[str, Any]:
        """See `Layer.get_config`."""
        return {
            **super().get_config(),
            "units": self.units,
            "activation": self.activation,
            "recurrent_activation": self.recurrent_activation,
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": initializers.serialize(self.recurrent_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "unit_forget_bias": self.unit_forget_bias,
            "seed": self.seed,
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "stateful": self.stateful,
            "unroll": self.unroll,
            "zero_output_for_mask": self.zero_output_for_mask,
        }
