"""ONNX Runtime beside lstm_ref.onnx_op: one node in a graph of its own, run on the CPU."""

from typing import Any

import numpy as np

from tests.peers import require

ORDER = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
OUTPUTS = ("Y", "Y_h", "Y_c")
FATAL = 4  # its log is silent about the errors it raises


def run(
    inputs: dict[str, np.ndarray], attributes: dict[str, Any], opset: int = 14
) -> list[np.ndarray]:
    """Y, Y_h and Y_c of a node with these inputs, by ONNX Runtime.

    It wants to be told hidden_size, so the node has it.
    """
    onnx = require("onnx")
    helper = onnx.helper

    def info(name: str) -> Any:
        kind = onnx.TensorProto.FLOAT if name != "sequence_lens" else onnx.TensorProto.INT32
        return helper.make_tensor_value_info(name, kind, None)

    names = [name if name in inputs else "" for name in ORDER]
    hidden = {"hidden_size": inputs["R"].shape[-1]}
    node = helper.make_node("LSTM", names, OUTPUTS, **hidden | attributes)
    graph = helper.make_graph(
        [node], "lstm", [info(n) for n in names if n], [info(n) for n in OUTPUTS]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return session(model.SerializeToString()).run(None, inputs)


def session(model: bytes) -> Any:
    """ONNX Runtime with a model, on one thread of the CPU."""
    runtime = require("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = FATAL
    return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
