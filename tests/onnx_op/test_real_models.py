"""The LSTM nodes of two trained models, beside ONNX Runtime and beside the expected outputs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstm_ref as lr
from tests.cases import BACKENDS, computing
from tests.onnx_op.onnxruntime_peer import ORDER, OUTPUTS, session
from tests.peers import require, require_models

pytestmark = pytest.mark.parametrize("backend", BACKENDS)


@dataclass
class LSTMNode:
    """An LSTM node of a graph: what is fixed in it, and the names of what flows in and out."""

    fixed: dict[str, np.ndarray]
    attributes: dict[str, Any]
    inputs: dict[str, str]
    outputs: dict[str, str]

    def __call__(self, **inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        return lr.onnx_op.lstm(**self.fixed, **inputs, **self.attributes)


class Model:
    """A model whose graph also shows all that goes into its LSTM nodes and comes out."""

    def __init__(self, path: Path) -> None:
        onnx = require("onnx")
        model = onnx.load(str(path))
        graph = model.graph
        weights = {w.name: onnx.numpy_helper.to_array(w) for w in graph.initializer}
        self.nodes = []
        for node in graph.node:
            if node.op_type != "LSTM":
                continue
            names = dict(zip(ORDER, node.input, strict=False))
            self.nodes.append(
                LSTMNode(
                    {n: weights[v] for n, v in names.items() if v in weights},
                    {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute},
                    {n: v for n, v in names.items() if v and v not in weights},
                    dict(zip(OUTPUTS, node.output, strict=True)),
                )
            )
        outside = {value.name for value in (*graph.input, *graph.output)}
        for node in self.nodes:
            for name in (*node.inputs.values(), *node.outputs.values()):
                if name not in outside:
                    graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
        self.session = session(model.SerializeToString())

    def run(self, feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Everything the graph takes and gives, by name."""
        names = [output.name for output in self.session.get_outputs()]
        return feed | dict(zip(names, self.session.run(names, feed), strict=True))


def close(got: np.ndarray, expected: np.ndarray, name: str) -> None:
    """Trained weights are not contractive: float32 parts further than where they are."""
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=3e-5, err_msg=name)


def compare(node: LSTMNode, values: dict[str, np.ndarray], backend: str) -> None:
    """What the node gave in the graph, from what went into it there."""
    with computing(backend):
        got = node(**{name: values[value] for name, value in node.inputs.items()})
    for (name, value), ours in zip(node.outputs.items(), got, strict=True):
        close(ours, values[value], name)


def test_voice_activity_over_a_sequence(backend: str) -> None:
    """One LSTM among convolutions, 120 frames, its state handed in and out of the graph."""
    folder = require_models() / "onnx_silero_vad_seq"
    model = Model(folder / "silero_vad_16k_sequence.onnx")
    (node,) = model.nodes
    with np.load(folder / "io.npz") as io:
        golden = dict(io)
    zeros = np.zeros_like(golden["hn"])
    values = model.run({"input": golden["frames"], "h": zeros, "c": zeros})
    compare(node, values, backend)
    again = model.run({"input": golden["frames"], "h": values["hn"], "c": values["cn"]})
    compare(node, again, backend)

    with computing(backend):
        outputs = node(X=golden["lstm_X"])
    for ours, name in zip(outputs, ("lstm_Y", "hn", "cn"), strict=True):
        close(ours, golden[name], name)


def test_noise_suppression_frame_by_frame_and_at_once(backend: str) -> None:
    """Two LSTMs of a model for one frame, which returns the state it is given next.

    And the whole sequence at once, beside the same weights in Keras.
    """
    folder = require_models() / "keras_onnx_dtln"
    model = Model(folder / "model_1.onnx")
    with np.load(folder / "io.npz") as io:
        golden = dict(io)
    state = np.zeros((1, 2, 128, 2), np.float32)
    for t in range(20):
        values = model.run({"input_2": golden["mag"][:, t : t + 1], "input_3": state})
        for node in model.nodes:
            compare(node, values, backend)
        state = values["tf_op_layer_stack_2"]

    x = golden["mag"].swapaxes(0, 1)  # [T,1,257]
    assert len(model.nodes) == 2
    for node, name in zip(model.nodes, ("lstm", "lstm_1"), strict=True):
        with computing(backend):
            Y, Y_h, Y_c = node(X=x)
        x = Y[:, 0]
        close(x.swapaxes(0, 1), golden[f"{name}_seq"], f"{name}_seq")
        close(Y_h[0], golden[f"{name}_h"], f"{name}_h")
        close(Y_c[0], golden[f"{name}_c"], f"{name}_c")
