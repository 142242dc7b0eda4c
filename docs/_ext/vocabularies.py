"""The table of the three vocabularies, made by asking them.

Gate orders and layouts come from `lstm_ref.layouts`, which the conversions go by; defaults from the
signatures; shapes, and what stands at a padded step, from running each vocabulary on arrays whose
axes have different lengths. So the table cannot say what the code does not do.
"""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import lstm_ref as lr
from lstm_ref import layouts
from lstm_ref.onnx_op.attributes import DEFAULT_ACTIVATIONS

B, T, D, H = 6, 3, 5, 7
LETTERS = {B: "B", T: "T", D: "D", H: "H", 2 * H: "2H", 4 * H: "4H", 8 * H: "8H"}
"""What a length of an axis stands for in the shapes of the table."""

ITS_LETTERS = {"Keras": {"g": "c"}, "PyTorch": {}, "ONNX": {"g": "c"}}
"""What a vocabulary calls a gate that has another letter in this library."""


def table() -> tuple[list[str], list[list[str]]]:
    """The heading, and the rows: what the row is about, then each vocabulary's cell, as text."""
    rows: dict[str, Callable[[str], str]] = {
        "gate order": gate_order,
        "weights": weights,
        "biases": biases,
        "input": lambda name: shape_text(ITS_INPUT[name].shape),
        "output, one direction": lambda name: shape_text(run(name)[0].shape),
        "final states": lambda name: shapes_text(run(name)[1:]),
        "output, both directions": lambda name: shape_text(run(name, both=True)[0].shape),
        "final states, both directions": lambda name: shapes_text(run(name, both=True)[1:]),
        "padding is said by": PADDING_IS_SAID_BY.__getitem__,
        "output at a padded step": padded_output,
        "reading backwards": backwards,
        "defaults": defaults,
        "weights begin": BEGINNINGS.__getitem__,
    }
    names = list(layouts.LAYOUTS)
    return ["", *names], [[title, *map(cell, names)] for title, cell in rows.items()]


# What is read off the layouts.


def gate_order(name: str) -> str:
    """``i, f, c, o`` and the like."""
    return ", ".join(ITS_LETTERS[name].get(gate, gate) for gate in layouts.LAYOUTS[name].gates)


def weights(name: str) -> str:
    """``kernel [D,4H]``, ..."""
    layout = layouts.LAYOUTS[name]
    text = "; ".join(f"{weight} {shape}" for weight, shape in layout.weights.items())
    if layout.peephole_gates:
        text += f"; the blocks of P are {', '.join(layout.peephole_gates)}"
    return text


def biases(name: str) -> str:
    """How many there are."""
    held = {n: s for n, s in layouts.LAYOUTS[name].weights.items() if s in ("[4H]", "[8H]")}
    if len(held) > 1:
        return f"two, {' and '.join(held)}, which are added"
    ((only, shape),) = held.items()
    return f"two in {only}, which are added" if shape == "[8H]" else f"one, {only}"


# What is found out by running them.

ITS_INPUT = {
    "Keras": np.zeros((B, T, D), "float32"),
    "PyTorch": np.zeros((T, B, D), "float32"),
    "ONNX": np.zeros((T, B, D), "float32"),
}


def run(name: str, both: bool = False) -> list[Any]:
    """[output, h, c, ...] of a small LSTM of that vocabulary."""
    x = ITS_INPUT[name]
    if name == "Keras":
        layer = lr.layers.LSTM(H, return_sequences=True, return_state=True)
        return list((lr.layers.Bidirectional(layer) if both else layer)(x))
    if name == "PyTorch":
        out, (h, c) = lr.nn.LSTM(D, H, bidirectional=both)(x)
        return [out, h, c]
    n = 1 + both
    W, R = np.zeros((n, 4 * H, D), "float32"), np.zeros((n, 4 * H, H), "float32")
    direction = "bidirectional" if both else "forward"
    return list(lr.onnx_op.lstm(x, W, R, direction=direction))


def shape_text(shape: Iterable[int]) -> str:
    """A shape in letters: ``[B,T,2H]``."""
    return f"[{','.join(LETTERS.get(n, str(n)) for n in shape)}]"


def shapes_text(arrays: Iterable[Any]) -> str:
    """The shapes of several arrays, each once, with how many have it."""
    shapes = [shape_text(array.shape) for array in arrays]
    if len(set(shapes)) == 1:
        return f"{len(shapes)} × {shapes[0]}"
    return ", ".join(shapes)


PADDING_IS_SAID_BY = {
    "Keras": "mask [B,T], gaps allowed; Masking and Embedding find it in the data",
    "PyTorch": "lengths [B] (packed sequences)",
    "ONNX": "sequence_lens [B]",
}


def padded_output(name: str) -> str:
    """What the last row, of one real step less than the others, gives at its last."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(B, T, D))
    lengths = [T] * (B - 1) + [T - 1]
    if name == "Keras":
        layer = lr.layers.LSTM(H, return_sequences=True, dtype="float64")
        y = layer(x, mask=np.arange(T) < np.array(lengths)[:, None])[-1]
    elif name == "PyTorch":
        y = lr.nn.LSTM(D, H, batch_first=True, dtype="float64")(x, lengths=lengths)[0][-1]
    else:
        W, R = rng.normal(size=(1, 4 * H, D)), rng.normal(size=(1, 4 * H, H))
        y = lr.onnx_op.lstm(x, W, R, sequence_lens=lengths, layout=1)[0][-1, :, 0]
    if not y[-1].any():
        return "0"
    assert np.array_equal(y[-1], y[-2])
    also = "; 0 with zero_output_for_mask, as in Bidirectional" if name == "Keras" else ""
    return f"that of the step before{also}"


def backwards(name: str) -> str:
    """Where reading backwards begins, and in which order the outputs stand."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, T, D))
    weights = rng.normal(size=(D, 4 * H)), rng.normal(size=(H, 4 * H)), rng.normal(size=4 * H)
    params = lr.LSTMParams(*weights)
    read = lr.lstm_forward(x[:, ::-1], params).hs  # in the order of reading
    if name == "Keras":
        layer = lr.layers.LSTM(H, return_sequences=True, go_backwards=True, dtype="float64")
        layer.build(x.shape)
        layer.set_weights(weights)
        assert np.array_equal(layer(x), read)
        return "from the end of the padded time axis; outputs in the order of reading"
    padded = np.concatenate([x, np.full_like(x, np.nan)], axis=1)
    if name == "PyTorch":
        module = lr.nn.LSTM(D, H, batch_first=True, bidirectional=True, dtype="float64")
        torchs = layouts.params_to_torch(params)
        module.load_state_dict(
            {f"{n}_l0{end}": w for end in ("", "_reverse") for n, w in torchs.items()}
        )
        y = module(padded, lengths=[T])[0][:, :T, H:]
    else:
        arrays = [None if w is None else w[None] for w in layouts.params_to_onnx(params)]
        W, R, bias, _ = arrays
        y = lr.onnx_op.lstm(padded, W, R, bias, sequence_lens=[T], direction="reverse", layout=1)[
            0
        ][:, :T, 0]
    assert np.array_equal(y, read[:, ::-1])
    return "from each row's last real step; outputs in the order of the input"


def defaults(name: str) -> str:
    """The arguments that say what is computed, as the signature has them."""
    function = {"Keras": lr.layers.LSTM, "PyTorch": lr.nn.LSTM, "ONNX": lr.onnx_op.lstm}[name]
    shown = {
        "Keras": (
            *("activation", "recurrent_activation", "use_bias", "return_sequences"),
            *("go_backwards", "zero_output_for_mask"),
        ),
        "PyTorch": ("num_layers", "bias", "batch_first", "bidirectional", "proj_size"),
        "ONNX": ("activations", "clip", "direction", "input_forget", "layout"),
    }[name]
    parameters = inspect.signature(function).parameters
    text = ", ".join(f"{argument}={parameters[argument].default!r}" for argument in shown)
    if name == "ONNX":
        text = text.replace("activations=None", f"activations={'/'.join(DEFAULT_ACTIVATIONS)}")
    return text


BEGINNINGS = {
    "Keras": "kernel Glorot uniform, recurrent_kernel orthogonal, bias 0, that of f 1",
    "PyTorch": "all uniform within ±1/√H",
    "ONNX": "as the file has them",
}
