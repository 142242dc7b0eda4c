"""Models whose weights are Keras' arrays."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import lstm_ref as lr
from lstm_ref.layers import LSTM, Dense, Dropout, Input, Layer, RepeatVector, TimeDistributed
from tests.peers import require, require_models
from tests.real_models.common import Outputs, gates_in, golden, read_json

Weights = Sequence[np.ndarray]


def layer_with(layer: Any, features: int, weights: Weights, order: str | None = None) -> Any:
    """The layer, built, with these weights; those of an LSTM with their gates in an order."""
    layer.build((None, None, features))
    layer.set_weights(weights if order is None else [gates_in(order, w) for w in weights])
    return layer


def with_states(units: int, features: int, weights: Weights, order: str) -> Any:
    """An LSTM that gives all its outputs and its last state."""
    layer = LSTM(units, return_sequences=True, return_state=True)
    return layer_with(layer, features, weights, order)


def read_h5(file: Path | io.BytesIO) -> dict[str, np.ndarray]:
    """Every array of an HDF5 file, by its path."""
    h5py = require("h5py")
    found = {}
    with h5py.File(file) as h5:
        h5.visititems(
            lambda name, item: found.update({name: item[()]}) if hasattr(item, "shape") else None
        )
    return found


# An autoencoder of the load of a machine, from the archive of a .keras file.


@cache
def spikesense_arrays() -> dict[str, np.ndarray]:
    path = require_models() / "keras3_spikesense_ae" / "lstm_autoencoder.keras"
    with zipfile.ZipFile(path) as archive:
        return read_h5(io.BytesIO(archive.read("model.weights.h5")))


def spikesense(order: str) -> Outputs:
    """An encoder's last output, repeated, and a decoder with one value a step."""
    golden_io, arrays = golden("keras3_spikesense_ae"), spikesense_arrays()

    def weights(place: str, count: int) -> Weights:
        return [arrays[f"layers/{place}/vars/{n}"] for n in range(count)]

    encoder, decoder = weights("lstm/cell", 3), weights("lstm_1/cell", 3)
    bottleneck = layer_with(Dense(32, activation="relu"), 64, weights("dense", 2))
    head = TimeDistributed(Dense(1))
    layer_with(head, 64, weights("time_distributed/layer", 2))
    decode = layer_with(LSTM(64, return_sequences=True), 32, decoder, order)
    encode = layer_with(LSTM(64), 1, encoder, order)
    model = lr.Sequential(
        [
            Input((30, 1)),
            *(encode, Dropout(0.1), bottleneck, RepeatVector(30), decode, Dropout(0.1), head),
        ]
    )

    x = golden_io["x"]
    seq, h, c = with_states(64, 1, encoder, order)(x)
    between = bottleneck(h)
    seq2, h2, c2 = with_states(64, 32, decoder, order)(RepeatVector(30)(between))
    return {
        "encoder seq": (seq, golden_io["encoder_lstm_seq"]),
        "encoder h": (h, golden_io["encoder_lstm_h"]),
        "encoder c": (c, golden_io["encoder_lstm_c"]),
        "bottleneck": (between, golden_io["bottleneck_out"]),
        "decoder seq": (seq2, golden_io["decoder_lstm_seq"]),
        "decoder h": (h2, golden_io["decoder_lstm_h"]),
        "decoder c": (c2, golden_io["decoder_lstm_c"]),
        "reconstruction": (head(seq2), golden_io["reconstruction_out"]),
        "y": (model.predict(x, verbose=0), golden_io["y"]),
    }


# Noise suppression, from the weights of Keras 2 in an .h5 file.


@cache
def dtln_arrays() -> dict[str, np.ndarray]:
    return read_h5(require_models() / "keras_onnx_dtln" / "model.h5")


def dtln_weights(layer: str) -> Weights:
    recurrent = ("recurrent_kernel",) if layer.startswith("lstm") else ()
    return [dtln_arrays()[f"{layer}/{layer}/{name}:0"] for name in ("kernel", *recurrent, "bias")]


def dtln(order: str, features: str, names: tuple[str, str], dense: str, mask: str) -> Outputs:
    """One of its two halves: two LSTM layers and a mask at every step."""
    golden_io = golden("keras_onnx_dtln")
    x = seq = golden_io[features]
    D = x.shape[-1]
    outputs: Outputs = {}
    layers: list[Layer] = [Input((None, D))]
    for name, width in zip(names, (D, 128), strict=True):
        weights = dtln_weights(name)
        seq, h, c = with_states(128, width, weights, order)(seq)
        for what, got in (("seq", seq), ("h", h), ("c", c)):
            outputs[f"{name} {what}"] = got, golden_io[f"{name}_{what}"]
        layers.append(layer_with(LSTM(128, return_sequences=True), width, weights, order))
    layers.append(layer_with(Dense(D, activation="sigmoid"), 128, dtln_weights(dense)))
    model = lr.Sequential(layers)
    return outputs | {"y": (model.predict(x, verbose=0), golden_io[mask])}


def dtln_spectrum(order: str) -> Outputs:
    """The half on spectra, and its state every 50 frames, beside the ONNX file that streams it."""
    golden_io = golden("keras_onnx_dtln")
    outputs = dtln(order, "mag", ("lstm", "lstm_1"), "dense", "mask_1")
    layers = [
        with_states(128, width, dtln_weights(name), order)
        for name, width in (("lstm", 257), ("lstm_1", 128))
    ]
    states: list[Any] = [None, None]
    streamed = []
    for frames in np.split(golden_io["mag"], 4, axis=1):
        y = frames
        for n, layer in enumerate(layers):
            y, *states[n] = layer(y, initial_state=states[n])
        streamed.append(np.stack([np.stack([h[0], c[0]], axis=-1) for h, c in states]))
    return outputs | {
        "state every 50 frames": (np.stack(streamed), golden_io["onnx_stream_state_every_50"]),
        "y as streamed": (outputs["y"][0], golden_io["onnx_stream_mask_1"]),
    }


def dtln_features(order: str) -> Outputs:
    """The half on learned features."""
    return dtln(order, "enc_norm", ("lstm_2", "lstm_3"), "dense_1", "mask_2")


# Small models whose authors have published what Keras gave, in JSON.

KINDS: Mapping[str, Any] = {
    "time-distributed-dense": lambda units, **options: TimeDistributed(Dense(units, **options)),
    "lstm": lambda units, **options: LSTM(units, return_sequences=True, **options),
    "dense": lambda units, **options: Dense(units, **options),
}


def rtneural_keras(order: str, name: str) -> Outputs:
    """The layers that the file describes, one after the other."""
    described = read_json("json_rtneural", f"{name}.json")
    width = described["in_shape"][-1]
    layers: list[Layer] = []
    for entry in described["layers"]:
        units = entry["shape"][-1]
        layer = KINDS[entry["type"]](units, activation=entry["activation"] or None)
        weights = [np.array(w, np.float32) for w in entry["weights"]]
        layers.append(layer_with(layer, width, weights, order if entry["type"] == "lstm" else None))
        width = units
    model, before = lr.Sequential(layers), lr.Sequential(layers[:-1])
    folder = require_models() / "json_rtneural"
    x, y = (np.loadtxt(folder / f"{name}_{n}_python.csv", np.float32) for n in "xy")
    return {
        "seq": (
            before.predict(x[None, :, None], verbose=0),
            golden("json_rtneural")[f"keras_{name}_seq_np"],
        ),
        "y": (model.predict(x[None, :, None], verbose=0)[0, :, 0], y),
    }


def rtneural_lstm(order: str) -> Outputs:
    """A dense layer at every step, an LSTM of eight units, a dense layer."""
    return rtneural_keras(order, "lstm")


def rtneural_lstm_1d(order: str) -> Outputs:
    """An LSTM of eight units, and a dense layer."""
    return rtneural_keras(order, "lstm_1d")
