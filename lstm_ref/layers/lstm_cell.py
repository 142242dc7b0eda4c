"""One time step of an LSTM: its weights and its options. Keras: ``keras.layers.LSTMCell``.

`RNN` runs a cell over a sequence, and `LSTM` is an `RNN` over one.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from lstm_ref.backend import lstm_forward
from lstm_ref.conventions import GATES, Array, split_gates
from lstm_ref.errors import ShapeError, UnsupportedError
from lstm_ref.layers import constraints, initializers, regularizers
from lstm_ref.layers.base import (
    Layer,
    Shape,
    activation_entry,
    constraint_of,
    positive,
    regularizer_of,
)
from lstm_ref.layers.dropping import Dropper, dropout_rate
from lstm_ref.spec.activations import activation_id
from lstm_ref.spec.parameters import Dropout, LSTMConfig, LSTMGradients, LSTMParams


class LSTMCell(Layer):
    """Reads x_t[B,D], h[B,H] and c[B,H]; gives h_t and the new state, ``h_t, [h_t, c_t]``.

    The arguments, their order and their defaults are Keras'.

    Args:
        units: H, the width of the hidden and the cell state.
        activation: for the candidate and the output; None is linear.
        recurrent_activation: for the three gates; None is linear.
        use_bias, kernel_initializer, recurrent_initializer, bias_initializer: as in Keras.
        unit_forget_bias: begin with 1 as the forget gate's bias.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: see `lstm_ref.regularizers`.
        kernel_constraint, recurrent_constraint, bias_constraint: see `lstm_ref.constraints`.
        dropout: the part of the input that is dropped in training, the same at every time step.
        recurrent_dropout: the part of h_{t-1} that is dropped on its way into the gates.
        seed: where the draws of both begin.
        implementation: 1 gives each gate dropout factors of its own, 2 the same to all; so it is
            always 1 with `recurrent_dropout`, as in Keras. Without dropout it changes nothing.
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        *,
        implementation: int = 2,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        refuse_activity_regularizer(self)
        self.units = positive(units, type(self).__name__)
        self.activation = activation_id(activation)
        self.recurrent_activation = activation_id(recurrent_activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.unit_forget_bias = bool(unit_forget_bias)
        self._regularizers = {
            "kernel": regularizers.get(kernel_regularizer),
            "recurrent_kernel": regularizers.get(recurrent_regularizer),
            "bias": regularizers.get(bias_regularizer),
        }
        self._constraints = {
            "kernel": constraints.get(kernel_constraint),
            "recurrent_kernel": constraints.get(recurrent_constraint),
            "bias": constraints.get(bias_constraint),
        }
        self.dropout = dropout_rate(dropout, "LSTM", "dropout")
        self.recurrent_dropout = dropout_rate(recurrent_dropout, "LSTM", "recurrent_dropout")
        self._dropper = Dropper(seed, "LSTM")
        self.seed = self._dropper.seed
        if implementation not in (1, 2):
            raise ValueError(f"LSTM(implementation={implementation!r}): 1 or 2 is needed")
        self.implementation = 1 if self.recurrent_dropout else implementation
        self._core_params: LSTMParams | None = None
        self._dropout: Dropout | None = None

    # Shapes and weights.

    input_axes = 2

    @property
    def state_size(self) -> list[int]:
        """The widths of the hidden and the cell state."""
        return [self.units, self.units]

    @property
    def output_size(self) -> int:
        """The width of the output."""
        return self.units

    def get_initial_state(self, batch_size: int) -> list[Array]:
        """Zeros for h and c."""
        return [np.zeros((batch_size, size), self.dtype) for size in self.state_size]

    def check_input(self, shape: Shape) -> None:
        """(batch, features), with the feature count of the weights."""
        where = f"cell {self.name!r} ({type(self).__name__}) got an input of shape {shape}"
        if len(shape) != 2:
            raise ShapeError(f"{where}, and reads one time step, (batch, features); RNN reads all")
        if shape[1] is None:
            raise ShapeError(f"{where}: the number of features, the last axis, must be known")
        if self.built and shape[1] != self.params["kernel"].shape[0]:
            raise ShapeError(
                f"{where}, {shape[1]} features, and its weights were made for "
                f"{self.params['kernel'].shape[0]}"
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
        """[B,H], and those of h and c."""
        state = (input_shape[0], self.units)
        return state, [state, state]

    # One step.

    def __call__(  # type: ignore[override]  # a cell is not called as other layers are
        self, x: Any, states: Sequence[Any], training: bool | None = None
    ) -> tuple[Array, list[Array]]:
        """One time step: ``h_t, [h_t, c_t]``.

        Args:
            x: x_t[B,D].
            states: [h, c], each [B,H], those of the step before.
            training: True lets dropout drop. What it drops is drawn once and kept, so that it is
                the same at every step, until `reset_dropout_mask`.
        """
        x = self.read(x)
        h, c = two_states(states, f"cell {self.name!r}")
        if training and self._dropout is None:
            self._dropout = self.draw_dropout(len(x), x.shape[1])
        dropout = self._dropout if training else None
        params, config = self.core_params, self.core_config()
        out = lstm_forward(x[:, None], params, config, h0=h, c0=c, dropout=dropout)
        return out.h, [out.h, out.c]

    def draw_dropout(self, B: int, D: int) -> Dropout | None:
        """New dropout factors for a batch, or None where nothing is ever dropped.

        Keras: ``DropoutRNNCell``; one array for all gates, or one each with `implementation` 1.
        """
        gates = (len(GATES),) if self.implementation == 1 else ()
        x, h = (
            self._dropper.factors(rate, (*gates, B, width), self.dtype) if rate else None
            for rate, width in ((self.dropout, D), (self.recurrent_dropout, self.units))
        )
        return None if x is None and h is None else Dropout(x, h)

    def reset_dropout_mask(self) -> None:
        """Let the next step in training draw anew what is dropped of the input and the state."""
        self._dropout = None

    def reset_recurrent_dropout_mask(self) -> None:
        """`reset_dropout_mask`: both are drawn together."""
        self.reset_dropout_mask()

    @property
    def droppers(self) -> Mapping[str, Dropper]:
        """See `Layer.droppers`."""
        return {"": self._dropper} if self.dropout or self.recurrent_dropout else {}

    def restart_dropout(self) -> None:
        """See `Layer.restart_dropout`."""
        self._dropper.restart()
        self.reset_dropout_mask()

    # The functional core's view of the cell.

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

    def core_config(self, **options: Any) -> LSTMConfig:
        """The activations as the functional core takes them, with what an `RNN` adds."""
        return config_of(self.activation, self.recurrent_activation, **options)

    def named_gradients(self, gradients: LSTMGradients) -> dict[str, Array]:
        """The core's gradients by the names of the weights."""
        by_name = {"kernel": gradients.d_kernel, "recurrent_kernel": gradients.d_recurrent_kernel}
        if gradients.d_bias is not None:
            by_name["bias"] = gradients.d_bias
        return by_name

    # What a caller looks at.

    kernel_regularizer = regularizer_of("kernel")
    recurrent_regularizer = regularizer_of("recurrent_kernel")
    bias_regularizer = regularizer_of("bias")
    kernel_constraint = constraint_of("kernel")
    recurrent_constraint = constraint_of("recurrent_kernel")
    bias_constraint = constraint_of("bias")

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

    def options(self) -> dict[str, Any]:
        """The config without what all layers have."""
        weights = {"kernel": "kernel", "recurrent": "recurrent_kernel", "bias": "bias"}
        return {
            "units": self.units,
            "activation": activation_entry(self.activation),
            "recurrent_activation": activation_entry(self.recurrent_activation),
            "use_bias": self.use_bias,
            "unit_forget_bias": self.unit_forget_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": initializers.serialize(self.recurrent_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            **{
                f"{short}_regularizer": regularizers.serialize(self._regularizers[name])
                for short, name in weights.items()
            },
            **{
                f"{short}_constraint": constraints.serialize(self._constraints[name])
                for short, name in weights.items()
            },
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "seed": self.seed,
            "implementation": self.implementation,
        }

    def get_config(self) -> dict[str, Any]:
        """See `Layer.get_config`."""
        return {**super().get_config(), **self.options()}


@lru_cache(maxsize=256)
def config_of(activation: Any, recurrent_activation: Any, **options: Any) -> LSTMConfig:
    """The config with these activations; one object for all calls, since it never changes."""
    return LSTMConfig(activation=activation, recurrent_activation=recurrent_activation, **options)


def refuse_activity_regularizer(cell: Layer) -> None:
    """Raise when a cell is to penalize its outputs.

    Raises:
        UnsupportedError: it is.
    """
    if cell.activity_regularizer is not None:
        raise UnsupportedError(
            f"{type(cell).__name__}(activity_regularizer=...): a cell's outputs are penalized by "
            "the RNN around it, RNN(cell, activity_regularizer=...)"
        )


def two_states(states: Any, owner: str) -> tuple[Any, Any]:
    """h and c.

    Raises:
        ShapeError: another number of states.
    """
    h, c = checked_states(states, 2, owner, "[h0, c0], each (batch, units)")
    return h, c


def checked_states(states: Any, count: int, owner: str, needs: str) -> Any:
    """``states``, if there are so many of them; ``needs`` says what is needed.

    Raises:
        ShapeError: another number of states, or something else.
    """
    several = np.iterable(states) and hasattr(states, "__len__")
    if several and len(states) == count:
        return states
    came = f"holds {len(states)} arrays or pairs" if several else f"is {states!r}"
    raise ShapeError(f"the initial state {came}, and {owner} begins from {count}: {needs}")
