"""ONNX's operator LSTM as a function, with every input and attribute it has; opsets 7 to 22.

``Y, Y_h, Y_c = lstm(X, W, R, ...)`` is what ONNX Runtime computes for such a node, in float32 and
float64; ``lstm_forward`` and ``lstm_backward`` give the gradients too. All names are ONNX's, so B
holds the biases and P the peepholes, and ``batch`` and ``dirs`` stand for the batch size and the
number of directions. Shapes are those of layout 0.

The rules, for whoever brings such a node to another system:

Weights
    W[dirs,4H,D], R[dirs,4H,H], B[dirs,8H] and P[dirs,3H]. The gate blocks lie in the order i, o,
    f, c along the second axis; c is the candidate, which is g elsewhere in this library. B is
    Wb[4H] followed by Rb[4H], and only their sum matters. The blocks of P are i, o, f. Of two
    directions the first is the one that reads forwards.
One step
    i_t = f(z_i + P_i C_{t-1}), f_t = f(z_f + P_f C_{t-1}), c_t = g(z_c), C_t = f_t C_{t-1} +
    i_t c_t, o_t = f(z_o + P_o C_t), H_t = o_t h(C_t), where z = X_t Wᵀ + H_{t-1} Rᵀ + Wb + Rb. The
    output gate looks at the new cell state. What is left out, of B, P and the initial states, is
    zeros.
activations
    The functions f, g and h in this order, in upper or lower case: three for each direction, so
    six where there are two. None, or an empty list, is Sigmoid, Tanh, Tanh.
activation_alpha, activation_beta
    One list of each for all directions, read from left to right: a function that has an α takes
    the next α, one that has a β the next β, and the others take nothing. Where a list is used up
    the function has its own values: HardSigmoid 0.2 and 0.5, LeakyRelu 0.01, Elu 1, and 0 for
    Affine, ScaledTanh and ThresholdedRelu. (So it is in ONNX Runtime. The standard refers to the
    operators of these names: ThresholdedRelu has 1, and the other two no longer exist. With 0 they
    are zero everywhere, so a node that uses them states its values.)
ThresholdedRelu
    x where x > α, else 0, as in ONNX Runtime. (The operator's page has x >= α.)
clip
    What goes into f, g and h from the gates is kept within ±clip, bias and peephole included. The
    cell state is not clipped, not even on its way into h. A clip is positive; 0 is not "none".
input_forget
    With 1 the forget gate is 1 - i, and the blocks of W, R, B and P that belong to f have no
    effect, as long as they hold finite numbers.
sequence_lens
    How many steps of each row are real, 0 to T. Behind them Y is 0, whatever X holds there, NaN
    included; Y_h and Y_c are the state after the last of them. A row of length 0 gives zeros in
    all three, even where it has an initial state. So does every row when T is 0 (where ONNX
    Runtime leaves Y_c unset). A batch of 0 rows, which ends ONNX Runtime's process, is empty here.
direction
    ``reverse`` reads each row from its last real step to its first. Y stays in the order of X;
    Y_h and Y_c are the state after step 0. ``bidirectional`` is both, forwards first.
layout
    With 1, the batch axis comes first in X, initial_h, initial_c, Y, Y_h and Y_c; with 0 it is the
    last but one. The weights are the same. ONNX Runtime has only 0.
hidden_size
    H, as R has it. ONNX Runtime insists on it; here it may be left out.

Two deviations from ONNX Runtime: float16 and bfloat16 are refused, and so is a list of α or β with
more values than the functions take, since the rest would have no effect. (It also overflows where
it need not: its Softplus is infinite from about 89 on.)

Sources: the operator's page, https://onnx.ai/onnx/operators/onnx__LSTM.html, and where that leaves
something open, ONNX Runtime 1.32, measured.
"""

from lstm_ref.onnx_op.attributes import ACTIVATIONS, Attributes
from lstm_ref.onnx_op.operator import (
    Cache,
    Gradients,
    Outputs,
    lstm,
    lstm_backward,
    lstm_forward,
)

__all__ = [
    "ACTIVATIONS",
    "Attributes",
    "Cache",
    "Gradients",
    "Outputs",
    "lstm",
    "lstm_backward",
    "lstm_forward",
]
