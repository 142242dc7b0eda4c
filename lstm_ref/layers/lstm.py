"""The LSTM layer: an `RNN` over one `LSTMCell`. Keras: ``keras.layers.LSTM``."""

from collections.abc import Mapping
from typing import Any, Self

from lstm_ref.layers.base import Layer, positive, refuse
from lstm_ref.layers.lstm_cell import LSTMCell
from lstm_ref.layers.rnn import RNN


def of_cell(name: str) -> property:
    """An attribute of the layer's cell, shown as the layer's own."""
    return property(lambda layer: getattr(layer.cells[0], name), doc=f"The cell's `{name}`.")


class LSTM(RNN):
    """Reads x[B,T,D] step by step; gives the last output [B,H], or all of them [B,T,H].

    The arguments, their order and their defaults are Keras'.

    Args:
        units: H, the width of the hidden and the cell state.
        activation, recurrent_activation, use_bias, unit_forget_bias: see `LSTMCell`, as for all of
            the next four lines.
        kernel_initializer, recurrent_initializer, bias_initializer: how weights begin.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties on weights.
        kernel_constraint, recurrent_constraint, bias_constraint: what weights are held to.
        dropout, recurrent_dropout, seed, implementation: what is dropped in training.
        activity_regularizer: see `Layer`.
        return_sequences, return_state, go_backwards, stateful, zero_output_for_mask: see `RNN`.
        unroll, use_cudnn: how Keras computes; accepted, without effect on values.
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
        dtype: Any = None,
        **common: Any,
    ) -> None:
        refuse("LSTM", {"time_major": time_major}, "use x.swapaxes(0, 1)")
        if use_cudnn not in ("auto", True, False):
            raise ValueError(f"LSTM(use_cudnn={use_cudnn!r}): 'auto', True or False is needed")
        positive(units, "LSTM")
        cell = LSTMCell(
            *(units, activation, recurrent_activation, use_bias, kernel_initializer),
            *(recurrent_initializer, bias_initializer, unit_forget_bias, kernel_regularizer),
            *(recurrent_regularizer, bias_regularizer, kernel_constraint, recurrent_constraint),
            *(bias_constraint, dropout, recurrent_dropout, seed),
            implementation=implementation,
            dtype=dtype,
            name="lstm_cell",
        )
        super().__init__(
            *(cell, return_sequences, return_state, go_backwards, stateful, unroll),
            zero_output_for_mask=zero_output_for_mask,
            activity_regularizer=activity_regularizer,
            dtype=dtype,
            **common,
        )
        self.use_cudnn = use_cudnn

    @property
    def named_cells(self) -> Mapping[str, LSTMCell]:
        """The cell. Its weights are the layer's, by their own names."""
        return {"": self.cells[0]}

    units = of_cell("units")
    activation = of_cell("activation")
    recurrent_activation = of_cell("recurrent_activation")
    use_bias = of_cell("use_bias")
    unit_forget_bias = of_cell("unit_forget_bias")
    kernel_initializer = of_cell("kernel_initializer")
    recurrent_initializer = of_cell("recurrent_initializer")
    bias_initializer = of_cell("bias_initializer")
    kernel_regularizer = of_cell("kernel_regularizer")
    recurrent_regularizer = of_cell("recurrent_regularizer")
    bias_regularizer = of_cell("bias_regularizer")
    kernel_constraint = of_cell("kernel_constraint")
    recurrent_constraint = of_cell("recurrent_constraint")
    bias_constraint = of_cell("bias_constraint")
    dropout = of_cell("dropout")
    recurrent_dropout = of_cell("recurrent_dropout")
    seed = of_cell("seed")
    implementation = of_cell("implementation")
    core_params = of_cell("core_params")
    kernel = of_cell("kernel")
    recurrent_kernel = of_cell("recurrent_kernel")
    bias = of_cell("bias")

    def get_config(self) -> dict[str, Any]:
        """See `Layer.get_config`."""
        return {**Layer.get_config(self), **self.cells[0].options(), **self.run_options()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """See `Layer.from_config`."""
        return super(RNN, cls).from_config(config)
