"""How each vocabulary lays out the weights of an LSTM, and the way from one to another.

The numbers are the same everywhere. What differs is the order of the four gate blocks, which axis
they lie along, and how many biases there are. ``LSTMParams`` holds Keras' layout, the canonical
one; these functions bring the others to it and back. Gate letters are those of ``conventions``;
where a vocabulary writes c for the candidate, it is g here.

Sources: ``keras.layers.LSTM`` (keras/src/layers/rnn/lstm.py), ``torch.nn.LSTM`` (its section
"Variables"), and the ONNX operator LSTM (its inputs W, R, B and P).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lstm_ref.checks import shaped
from lstm_ref.conventions import GATES, PEEPHOLE_GATES, Array
from lstm_ref.errors import ShapeError, UnsupportedError
from lstm_ref.spec.parameters import LSTMGradients, LSTMParams


@dataclass(frozen=True)
class Layout:
    """One vocabulary's way to lay out the weights of one direction of one layer.

    Attributes:
        gates: the order of the gate blocks.
        peephole_gates: the order of the blocks of the peephole weights; none where there are none.
        weights: each weight by its own name, with its shape; "4H" is where the gate blocks lie.
    """

    gates: tuple[str, ...]
    peephole_gates: tuple[str, ...]
    weights: Mapping[str, str]


KERAS = Layout(
    gates=("i", "f", "g", "o"),
    peephole_gates=(),
    weights={"kernel": "[D,4H]", "recurrent_kernel": "[H,4H]", "bias": "[4H]"},
)
TORCH = Layout(
    gates=("i", "f", "g", "o"),
    peephole_gates=(),
    weights={
        "weight_ih": "[4H,D]",
        "weight_hh": "[4H,P]",
        "bias_ih": "[4H]",
        "bias_hh": "[4H]",
        "weight_hr": "[P,H]",
    },
)
ONNX = Layout(
    gates=("i", "o", "f", "g"),
    peephole_gates=("i", "o", "f"),
    weights={"W": "[4H,D]", "R": "[4H,H]", "B": "[8H]", "P": "[3H]"},
)
LAYOUTS = {"Keras": KERAS, "PyTorch": TORCH, "ONNX": ONNX}
"""The vocabularies, by the names their users know them by."""


def reorder(blocks: Array, given: Sequence[str], wanted: Sequence[str], axis: int = -1) -> Array:
    """The blocks along an axis in another order of their gates.

    Raises:
        ShapeError: the axis is not so many whole blocks.
    """
    if blocks.shape[axis] % len(given):
        raise ShapeError(
            f"an array of shape {blocks.shape} has no {len(given)} blocks along axis {axis}, one "
            f"for each of {', '.join(given)}"
        )
    if tuple(given) == tuple(wanted):
        return blocks
    parts = dict(zip(given, np.split(blocks, len(given), axis=axis), strict=True))
    return np.concatenate([parts[gate] for gate in wanted], axis=axis)


# PyTorch


def params_from_torch(weights: Mapping[str, Array]) -> LSTMParams:
    """The canonical weights from PyTorch's for one layer and direction.

    Args:
        weights: ``weight_ih`` [4H,D], ``weight_hh`` [4H,P], and where there are some ``bias_ih``
            and ``bias_hh`` [4H], ``weight_hr`` [P,H]. The two biases are added: they only ever
            appear as their sum.

    Raises:
        ShapeError: a name that is missing, or one that does not belong to an LSTM.
    """
    unknown = sorted(set(weights) - set(TORCH.weights))
    missing = sorted({"weight_ih", "weight_hh"} - set(weights))
    if unknown or missing:
        raise ShapeError(
            f"the weights of one layer and direction are {', '.join(TORCH.weights)}, and "
            + (f"{', '.join(missing)} is missing" if missing else f"{', '.join(unknown)} came")
            + "; in a state_dict the names end in _l0, _l0_reverse, _l1, ...: cut that off"
        )

    def columns(name: str) -> Array:
        return reorder(weights[name], TORCH.gates, GATES, axis=0).T

    biases = [columns(name) for name in ("bias_ih", "bias_hh") if name in weights]
    return LSTMParams(
        columns("weight_ih"),
        columns("weight_hh"),
        sum(biases[1:], start=biases[0]) if biases else None,
        projection=weights["weight_hr"].T if "weight_hr" in weights else None,
    )


def params_to_torch(params: LSTMParams) -> dict[str, Array]:
    """PyTorch's weights for one layer and direction, by their names; bias_hh is zeros.

    Raises:
        UnsupportedError: peepholes, which PyTorch's LSTM has not.
    """
    if params.peephole is not None:
        raise UnsupportedError("PyTorch's LSTM has no peepholes, and these weights have some")

    def rows(weight: Array) -> Array:
        return reorder(weight.T, GATES, TORCH.gates, axis=0)

    weights = {"weight_ih": rows(params.kernel), "weight_hh": rows(params.recurrent_kernel)}
    if params.bias is not None:
        weights |= {"bias_ih": rows(params.bias), "bias_hh": np.zeros_like(params.bias)}
    if params.projection is not None:
        weights["weight_hr"] = params.projection.T
    return weights


# ONNX


def params_from_onnx(
    W: Array, R: Array, B: Array | None = None, P: Array | None = None
) -> LSTMParams:
    """The canonical weights from the ONNX operator's for one direction.

    Args:
        W: [4H,D]. R: [4H,H].
        B: [8H], a bias for x W and one for h R, which are added; None for none.
        P: [3H], peepholes in the order i, o, f; None for none.

    Raises:
        ShapeError: weights of both directions at once, or a bias of another length.
    """
    if W.ndim != 2 or R.ndim != 2:
        raise ShapeError(
            f"W has shape {W.shape} and R {R.shape}, and those of one direction are needed, "
            "[4H,D] and [4H,H]: W[0], R[0], and so on"
        )
    H = R.shape[1]

    def columns(weight: Array) -> Array:
        return reorder(weight, ONNX.gates, GATES, axis=0).T

    bias = None
    if B is not None:
        of_x, of_h = np.split(shaped(B, (2 * len(GATES) * H,), "B", "[8H], two biases"), 2)
        bias = columns(of_x + of_h)
    peephole = None if P is None else reorder(P, ONNX.peephole_gates, PEEPHOLE_GATES)
    return LSTMParams(columns(W), columns(R), bias, peephole)


def params_to_onnx(params: LSTMParams) -> tuple[Array, Array, Array | None, Array | None]:
    """W[4H,D], R[4H,H], B[8H] (its second half zeros) and P[3H] of one direction.

    Raises:
        UnsupportedError: a projection, which ONNX' operator has not.
    """
    if params.projection is not None:
        raise UnsupportedError(
            "ONNX' operator LSTM has no projection, and these weights have one: in a graph it is a "
            "loop, or one LSTM unrolled"
        )

    def rows(weight: Array) -> Array:
        return reorder(weight.T, GATES, ONNX.gates, axis=0)

    b, p = params.bias, params.peephole
    return (
        rows(params.kernel),
        rows(params.recurrent_kernel),
        None if b is None else np.concatenate([rows(b), np.zeros_like(b)]),
        None if p is None else reorder(p, PEEPHOLE_GATES, ONNX.peephole_gates),
    )


def gradients_to_onnx(
    gradients: LSTMGradients,
) -> tuple[Array, Array, Array | None, Array | None]:
    """The gradients on W[4H,D], R[4H,H], B[8H] and P[3H] of one direction.

    Each of the two biases in B has the gradient of their sum.
    """
    g = gradients
    d_W, d_R, d_B, d_P = params_to_onnx(
        LSTMParams(g.d_kernel, g.d_recurrent_kernel, g.d_bias, g.d_peephole)
    )
    if d_B is not None:
        d_B = np.tile(d_B[: d_B.size // 2], 2)
    return d_W, d_R, d_B, d_P
