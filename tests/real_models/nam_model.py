"""A guitar amplifier: an LSTM of three units with a learned first state, in one list of numbers.

The list of a ``.nam`` file holds, one after the other (NeuralAmpModelerCore, ``NAM/lstm.cpp``):
[W | U] row by row, (4H, D+H) in the order of PyTorch's gates; one bias (4H); h0; c0; the head's
weight (H); the head's bias.
"""

import numpy as np

import lstm_ref as lr
from lstm_ref.layouts import TORCH, params_from_torch
from tests.real_models.common import RIGHT_ORDER, Outputs, gates_in, golden, read_json


def amplifier(order: str) -> Outputs:
    """4800 samples, at once and in ten pieces, through the functional core."""
    io, file = golden("nam_lstm"), read_json("nam_lstm", "lstm.nam")
    D, H = file["config"]["input_size"], file["config"]["hidden_size"]
    assert file["config"]["num_layers"] == 1
    assert "".join(TORCH.gates) == RIGHT_ORDER

    sizes = {"W|U": 4 * H * (D + H), "b": 4 * H, "h0": H, "c0": H, "head": H, "head bias": 1}
    numbers = np.array(file["weights"], np.float32)
    assert len(numbers) == sum(sizes.values())
    pieces = np.split(numbers, np.cumsum(list(sizes.values()))[:-1])
    WU, b, h0, c0, head, head_bias = pieces
    W, U = np.split(WU.reshape(4 * H, D + H), [D], axis=1)  # [4H,D], [4H,H]
    weights = {"weight_ih": W, "weight_hh": U, "bias_ih": b}
    params = params_from_torch({n: gates_in(order, w, axis=0) for n, w in weights.items()})

    start = (h0[None], c0[None])
    out = lr.lstm_forward(io["x"], params, h0=start[0], c0=start[1])
    seqs = []
    for x in np.split(io["x"], 10, axis=1):
        piece = lr.lstm_forward(x, params, h0=start[0], c0=start[1])
        seqs.append(piece.hs)
        start = (piece.h, piece.c)
    y = lr.dense_forward(out.hs, head[:, None], head_bias).y
    return {
        "h0": (h0, io["h0"]),
        "c0": (c0, io["c0"]),
        "seq": (out.hs, io["seq"]),
        "seq in pieces": (np.concatenate(seqs, axis=1), io["seq"]),
        "h": (out.h[None], io["h"]),
        "c": (out.c[None], io["c"]),
        "y": (y, io["y"]),
    }
