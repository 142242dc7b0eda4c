"""Models whose weights are PyTorch's ``state_dict``."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

import lstm_ref as lr
from lstm_ref.layers import LSTM, Bidirectional, Dense, Embedding, Input, Layer
from lstm_ref.layouts import params_from_torch
from tests.peers import require, require_models
from tests.real_models.common import Outputs, gates_in, golden, read_json

StateDict = Mapping[str, np.ndarray]


@cache
def state_dict(model: str, file: str) -> StateDict:
    """The arrays of a file that PyTorch has written."""
    torch = require("torch")
    path = require_models() / model / file
    tensors = torch.load(path, weights_only=True, map_location="cpu")
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def part(state: StateDict, prefix: str, order: str | None = None) -> StateDict:
    """The weights of one module; those of an LSTM with its gates in an order."""
    own = {n.removeprefix(f"{prefix}."): w for n, w in state.items() if n.startswith(f"{prefix}.")}
    return own if order is None else {n: gates_in(order, w, axis=0) for n, w in own.items()}


def loaded(module: Any, weights: StateDict) -> Any:
    """The module, in evaluation, with these weights."""
    module.load_state_dict(weights)
    return module.eval()


def uzmorph(order: str) -> Outputs:
    """Letters of Uzbek words to morphological tags: two bidirectional layers, padding included."""
    io, state = golden("torch_uzmorph"), state_dict("torch_uzmorph", "morph_bilstm.pth")
    lstm = lr.nn.LSTM(64, 64, num_layers=2, bidirectional=True, batch_first=True)
    loaded(lstm, part(state, "lstm", order))
    head = loaded(lr.nn.Linear(128, 746), part(state, "hidden2tag"))

    embedded = state["char_embeddings.weight"][io["ids"]]
    seq, (h, c) = lstm(embedded)
    return {
        "embedded": (embedded, io["embedded"]),
        "seq": (seq, io["seq"]),
        "h": (h, io["h"]),
        "c": (c, io["c"]),
        "y": (head(seq), io["y_logits"]),
    }


def uzmorph_in_keras_words(order: str) -> Outputs:
    """The same model, of layers with Keras' names."""
    io, state = golden("torch_uzmorph"), state_dict("torch_uzmorph", "morph_bilstm.pth")

    def direction(suffix: str) -> list[np.ndarray]:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        lstm = part(state, "lstm", order)
        params = params_from_torch({name: lstm[f"{name}_{suffix}"] for name in names})
        assert params.bias is not None
        return [params.kernel, params.recurrent_kernel, params.bias]

    def both_ways(layer: int, return_state: bool) -> Layer:
        lstm = LSTM(64, return_sequences=True, return_state=return_state)
        weights = [*direction(f"l{layer}"), *direction(f"l{layer}_reverse")]
        return Bidirectional(lstm, weights=weights)

    table = state["char_embeddings.weight"]
    head = part(state, "hidden2tag")
    dense = Dense(746)
    dense.build((None, None, 128))
    dense.set_weights([head["weight"].T, head["bias"]])
    embedding = Embedding(49, 64, weights=table)
    layers = [both_ways(n, return_state=False) for n in range(2)]
    model = lr.Sequential([Input((None,), dtype="int32"), embedding, *layers, dense])

    seq, states = embedding(io["ids"]), []
    for n in range(2):
        seq, *of_layer = both_ways(n, return_state=True)(seq)
        states += of_layer  # h, c, then those of the backward direction
    return {
        "embedded": (embedding(io["ids"]), io["embedded"]),
        "seq": (seq, io["seq"]),
        "h": (np.stack(states[::2]), io["h"]),
        "c": (np.stack(states[1::2]), io["c"]),
        "y": (model.predict(io["ids"], verbose=0), io["y_logits"]),
    }


def streamflow(order: str) -> Outputs:
    """Weather to the flow of a river, hour by hour; once more from the state in mid-month."""
    io = golden("torch_noaa_streamflow")
    state = state_dict("torch_noaa_streamflow", "model_epoch009.pt")
    lstm = loaded(lr.nn.LSTM(4, 126), part(state, "lstm", order))
    head = loaded(lr.nn.Linear(126, 1), part(state, "head.net.0"))

    seq, (h, c) = lstm(io["x"])
    _, (h_360, c_360) = lstm(io["x"][:360])
    later, (h_again, c_again) = lstm(io["x"][360:], (io["h_after_360"], io["c_after_360"]))
    return {
        "seq": (seq, io["seq"]),
        "h": (h, io["h"]),
        "c": (c, io["c"]),
        "h after 360 hours": (h_360, io["h_after_360"]),
        "c after 360 hours": (c_360, io["c_after_360"]),
        "seq from there": (later, io["seq"][360:]),
        "h from there": (h_again, io["h"]),
        "c from there": (c_again, io["c"]),
        "y": (head(seq), io["y_scaled"]),
    }


def rtneural_torch(order: str) -> Outputs:
    """Two LSTM modules, the second of three layers; its authors' own outputs. In JSON."""
    io = golden("json_rtneural")
    lists = read_json("json_rtneural", "lstm_torch.json")
    state = {name: np.array(numbers, np.float32) for name, numbers in lists.items()}
    one = loaded(lr.nn.LSTM(1, 8, batch_first=True), part(state, "lstm", order))
    three = loaded(lr.nn.LSTM(8, 8, 3, batch_first=True), part(state, "lstm2", order))
    dense = loaded(lr.nn.Linear(8, 1), part(state, "dense"))

    seq, (h, c) = one(io["torch_x"])
    seq2, (h2, c2) = three(seq)
    published = np.loadtxt(
        require_models() / "json_rtneural" / "lstm_torch_y_python.csv", np.float32
    )
    return {
        "seq": (seq, io["torch_lstm_seq"]),
        "h": (h, io["torch_lstm_h"]),
        "c": (c, io["torch_lstm_c"]),
        "seq of three layers": (seq2, io["torch_lstm2_seq"]),
        "h of three layers": (h2, io["torch_lstm2_h"]),
        "c of three layers": (c2, io["torch_lstm2_c"]),
        "y": (dense(seq2), io["torch_y"]),
        "y as published": (dense(seq2)[0, :, 0], published),
    }
