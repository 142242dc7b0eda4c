"""What goes into an LSTM and what comes out of it: plain records.

Their fields do not change; that the arrays in them do not either is up to who made them.
"""

from dataclasses import dataclass
from typing import Literal

from lstm_ref.conventions import GATES, Array
from lstm_ref.spec.activations import ActivationId

MaskedOutput = Literal["hold", "zero"]


@dataclass(frozen=True, eq=False)
class LSTMParams:
    """The weights of one LSTM, in the canonical layout (gate blocks i, f, g, o).

    Attributes:
        kernel: W[D,4H], applied to the input.
        recurrent_kernel: U[P,4H], applied to the previous hidden state.
        bias: b[4H], or None for no bias (Keras' ``use_bias=False``).
        peephole: p[3H], blocks for i, f, o: weights through which these gates look at the cell
            state (i and f at c_{t-1}, o at c_t). None for none.
        projection: R[H,P], through which the hidden state goes before anything reads it
            (PyTorch's ``proj_size`` is P). None for none; then P is H.
    """

    kernel: Array
    recurrent_kernel: Array
    bias: Array | None = None
    peephole: Array | None = None
    projection: Array | None = None

    @property
    def features(self) -> int:
        """D, the number of input features."""
        return int(self.kernel.shape[0])

    @property
    def units(self) -> int:
        """H, the number of hidden units, which is the width of the cell state."""
        return int(self.recurrent_kernel.shape[1]) // len(GATES)

    @property
    def outputs(self) -> int:
        """P, the width of the hidden state and the output: H unless there is a projection."""
        return int(self.recurrent_kernel.shape[0])

    def fixed(self) -> "FixedLSTMParams":
        """The same weights as arrays that nobody writes into, for many calls with one object.

        Arrays that can be written into are copied.
        """
        return FixedLSTMParams(
            fixed(self.kernel),
            fixed(self.recurrent_kernel),
            None if self.bias is None else fixed(self.bias),
            None if self.peephole is None else fixed(self.peephole),
            None if self.projection is None else fixed(self.projection),
        )


class FixedLSTMParams(LSTMParams):
    """Weights that do not change any more, so that the kernels lay them out only once."""


def fixed(array: Array) -> Array:
    """The array as its holder keeps it: nobody else's, and never written into again."""
    if array.flags.writeable or array.base is not None:
        array = array.copy()
        array.flags.writeable = False
    return array


@dataclass(frozen=True)
class LSTMConfig:
    """What an LSTM does with its weights. The defaults are Keras'.

    Attributes:
        activation: φ, for the candidate and the output. A name from ``spec.activations``, or a
            name and its parameters, ``("leaky_relu", 0.01)``.
        recurrent_activation: σ, for the three gates.
        go_backwards: read the sequence from its last step to its first. ``hs`` stays in the
            order of processing, as in Keras.
        masked_output: what ``hs`` holds at a masked step: the last output before it ("hold",
            zeros when there is none), or zeros ("zero", Keras' ``zero_output_for_mask``).
        output_activation: another φ for the output alone; None for the same. (ONNX calls σ, φ and
            this one f, g and h.)
        clip: the pre-activations are kept within ±clip, peepholes included. None for no bounds.
        input_forget: the forget gate is 1 - i (Greff et al., 2017, call it coupled input and
            forget gate). The weights that belong to f have no effect; give them finite numbers.
    """

    activation: ActivationId = "tanh"
    recurrent_activation: ActivationId = "sigmoid"
    go_backwards: bool = False
    masked_output: MaskedOutput = "hold"
    output_activation: ActivationId | None = None
    clip: float | None = None
    input_forget: bool = False

    @property
    def activation_of_output(self) -> ActivationId:
        """φ for the output: ``output_activation``, or the other φ where that is None."""
        return self.activation if self.output_activation is None else self.output_activation


@dataclass(frozen=True, eq=False)
class Dropout:
    """What multiplies x_t and h_{t-1} on their way into the gates, the same at every time step.

    0 where a number is dropped and 1/(1 - rate) elsewhere, usually; any factors will do. They do
    not touch the state itself, only what the gates see of it.

    Attributes:
        x: [B,D], or [4,B,D] with factors for i, f, g and o each; None for none.
        h: [B,P], or [4,B,P]; None for none.
    """

    x: Array | None = None
    h: Array | None = None


@dataclass(frozen=True)
class LSTMCache:
    """Everything the backward pass needs, and everything a trace shows.

    The time axis is in the order of processing: reversed when ``config.go_backwards``. At a
    masked step nothing is computed: x, z and gates are zero there, h and c are the held state.

    Attributes:
        params, config: as given to the forward pass.
        x: [B,T,D], zeros at masked steps.
        mask: bool [B,T], True where the step is real, or None when every step is.
        h0, c0: [B,P] and [B,H], the initial state.
        z: [B,T,4H], pre-activations as they go into the activations [EQ 1, 24, 25].
        gates: [B,T,4H], i, f, g, o after their activations [EQ 2, 3, 5].
        h, c: [B,T,P] and [B,T,H], the state after each step [EQ 4, 6, 15].
        dropout: as given to the forward pass.
        backend: which backend made this cache, so that its twin reads it.
    """

    params: LSTMParams
    config: LSTMConfig
    x: Array
    mask: Array | None
    h0: Array
    c0: Array
    z: Array
    gates: Array
    h: Array
    c: Array
    dropout: Dropout | None = None
    backend: str = "numpy"


@dataclass(frozen=True)
class LSTMOutput:
    """The result of a forward pass.

    Attributes:
        hs: [B,T,P], the output at every step, by the masked-output rule [EQ 16].
        h: [B,P], the final hidden state: that of the last real step of each row.
        c: [B,H], the final cell state.
        cache: for the backward pass; None unless it was asked for.
    """

    hs: Array
    h: Array
    c: Array
    cache: LSTMCache | None = None


@dataclass(frozen=True)
class LSTMGradients:
    """Gradients of the loss, each of the shape of what it belongs to.

    Attributes:
        d_x: [B,T,D], in the order of the input (also with ``go_backwards``); zeros where masked.
            [B,0,D], of no step, where it was not asked for.
        d_kernel: [D,4H].
        d_recurrent_kernel: [P,4H].
        d_bias: [4H], or None where there is no bias.
        d_h0, d_c0: [B,P] and [B,H].
        d_peephole: [3H], or None where there are no peepholes.
        d_projection: [H,P], or None where there is no projection.
    """

    d_x: Array
    d_kernel: Array
    d_recurrent_kernel: Array
    d_bias: Array | None
    d_h0: Array
    d_c0: Array
    d_peephole: Array | None = None
    d_projection: Array | None = None


@dataclass(frozen=True)
class DenseCache:
    """What the backward pass of the dense head needs: h[N,H], z[N,K], y and the weights.

    y is [N,K], or of the caller's shape [...,K] where the forward pass came through the backend.
    """

    h: Array
    kernel: Array
    bias: Array | None
    activation: ActivationId
    z: Array
    y: Array
    backend: str = "numpy"


@dataclass(frozen=True)
class DenseOutput:
    """y[N,K], the head's output for each of N time steps, and the cache when it was asked for."""

    y: Array
    cache: DenseCache | None = None


@dataclass(frozen=True)
class DenseGradients:
    """d_h[N,H], d_kernel[H,K], and d_bias[K] (None where there is no bias)."""

    d_h: Array
    d_kernel: Array
    d_bias: Array | None
