"""Each refusal of the operator, by the sentence it says: what came, and what was needed."""

import re
from typing import Any

import numpy as np
import pytest

import lstm_ref as lr
from tests.cases import computing
from tests.onnx_op.cases import make_node

NODE = make_node(1, (3, 2, 4, 5))

NO_EFFECT = "would have no effect: a function takes one if it has it, from left to right"
LENGTHS = "sequence_lens"
FORWARD = "for direction='forward' and H = 5 as R has it"

ATTRIBUTES: list[tuple[dict[str, Any], str]] = [
    ({"input_forget": 2}, "input_forget is 2: 0 or 1 is needed"),
    ({"layout": -1}, "layout is -1: 0 or 1 is needed"),
    ({"clip": 0.0}, "clip is 0.0: a positive number is needed; leave it out for no clipping"),
    ({"clip": np.nan}, "clip is nan: a positive number is needed; leave it out for no clipping"),
    (
        {"direction": b"Reverse"},
        (
            "direction is 'Reverse': one of 'forward', 'reverse', 'bidirectional' is needed, in "
            "lower case"
        ),
    ),
    (
        {"activations": ["Tanh", "Tanh"]},
        (
            "activations has 2 names, Tanh, Tanh, and direction='forward' needs 3: f, g and h for "
            "each direction"
        ),
    ),
    (
        {"activations": ["Sigmoid", "Tanh", "Gelu"]},
        (
            "activations has 'Gelu', and the operator knows Relu, Tanh, Sigmoid, Affine, "
            "LeakyRelu, ThresholdedRelu, ScaledTanh, HardSigmoid, Elu, Softsign, Softplus, in "
            "upper or lower case"
        ),
    ),
    (
        {"activations": ["Sigmoid", "Elu", "Tanh"], "activation_alpha": [0.5, 0.25]},
        f"activation_alpha has 1 more than Sigmoid, Elu, Tanh take, and 0.25 {NO_EFFECT}",
    ),
    (
        {"activation_beta": np.zeros(1)},
        f"activation_beta has 1 more than Sigmoid, Tanh, Tanh take, and 0.0 {NO_EFFECT}",
    ),
]

SHAPES: list[tuple[dict[str, Any], str]] = [
    ({"X": np.zeros((3, 4))}, "X has shape (3, 4), and [T,batch,D] with layout=0 is needed"),
    (
        {"X": np.zeros((3, 4)), "layout": 1},
        "X has shape (3, 4), and [batch,T,D] with layout=1 is needed",
    ),
    (
        {"X": np.zeros((3, 2, 6))},
        (
            "X has shape (3, 2, 6), 6 features a step, and W was made for 4: [T,batch,D] with "
            "layout=0 is needed"
        ),
    ),
    (
        {"W": np.zeros((20, 4))},
        "W has shape (20, 4), and [dirs,4H,D] is needed; one direction's is W[None]",
    ),
    ({"W": np.zeros(3)}, "W has shape (3,), and [dirs,4H,D] is needed"),
    (
        {"R": np.zeros((20, 5))},
        "R has shape (20, 5), and [dirs,4H,H] is needed; one direction's is R[None]",
    ),
    (
        {"R": np.zeros((1, 5, 20))},
        (
            "R has shape (1, 5, 20), and (1, 80, 20) is needed: [dirs,4H,H], for "
            "direction='forward' and H = 20 as R has it; this one looks like Keras' recurrent "
            "kernel: use R.swapaxes(1, 2), with the gates in the order i, o, f, c"
        ),
    ),
    (
        {"W": np.zeros((1, 24, 4))},
        f"W has shape (1, 24, 4), and (1, 20, 4) is needed: [dirs,4H,D], {FORWARD}",
    ),
    (
        {"direction": "bidirectional"},
        (
            "R has shape (1, 20, 5), and (2, 20, 5) is needed: [dirs,4H,H], for "
            "direction='bidirectional' and H = 5 as R has it"
        ),
    ),
    (
        {"B": np.zeros(40)},
        (
            f"B has shape (40,), and (1, 40) is needed: [dirs,8H], {FORWARD}; one direction's is "
            "B[None]"
        ),
    ),
    (
        {"P": np.zeros((1, 20))},
        f"P has shape (1, 20), and (1, 15) is needed: [dirs,3H], {FORWARD}",
    ),
    ({"hidden_size": 4}, "hidden_size is 4, and R of shape (1, 20, 5) has H = 5"),
    (
        {"initial_h": np.zeros((2, 1, 5))},
        (
            "initial_h has shape (2, 1, 5), and (1, 2, 5) is needed: [dirs,batch,H] with layout=0; "
            "this one is that of the other layout"
        ),
    ),
    (
        {"initial_c": np.zeros((2, 5))},
        "initial_c has shape (2, 5), and (1, 2, 5) is needed: [dirs,batch,H] with layout=0",
    ),
    ({"sequence_lens": [4, 3]}, f"{LENGTHS}[0] is 4, and a row has 0 to 3 steps"),
    ({"sequence_lens": [3, -1]}, f"{LENGTHS}[1] is -1, and a row has 0 to 3 steps"),
    ({"sequence_lens": [3.0, 2.0]}, f"{LENGTHS} has shape (2,) and dtype float64"),
    (
        {"sequence_lens": [3]},
        "sequence_lens has shape (1,), and (2,) is needed: [batch], the real steps of each row",
    ),
]


def refused(error: type[Exception], changes: dict[str, Any]) -> str:
    """The sentence with which the operator refuses the node with these changes."""
    with pytest.raises(error) as raised, computing("numpy"):
        lr.onnx_op.lstm(**NODE.inputs | changes)
    assert raised.type is error
    return str(raised.value)


@pytest.mark.parametrize(("changes", "sentence"), ATTRIBUTES)
def test_attributes(changes: dict[str, Any], sentence: str) -> None:
    assert refused(ValueError, changes) == sentence


@pytest.mark.parametrize(("changes", "sentence"), SHAPES)
def test_shapes(changes: dict[str, Any], sentence: str) -> None:
    said = refused(lr.ShapeError, changes)
    assert said.startswith(sentence) if "sequence_lens" in changes else said == sentence


@pytest.mark.parametrize("name", ["X", "W", "R", "B", "initial_h", "initial_c", "P"])
def test_half_precision(name: str) -> None:
    """By name. bfloat16 is no dtype of NumPy's: an array of it comes from another package."""

    class BFloat16(np.ndarray):
        dtype = type("dtype", (), {"name": "bfloat16"})()

    for half in ("float16", "bfloat16"):
        value = NODE.inputs[name]
        value = value.astype(half) if half == "float16" else value.view(BFloat16)
        assert refused(lr.UnsupportedError, {name: value}) == (
            f"{name} is {half}, and this operator computes in float32 and float64: convert every "
            f"input with astype('float32'), which loses nothing of {half}"
        )


def test_weights_are_of_one_dtype() -> None:
    changes = {"R": NODE.inputs["R"].astype(np.float32)}
    assert refused(lr.DTypeError, changes) == (
        "the weights have different dtypes, R float32, W float64, B float64, P float64: cast them "
        "to one"
    )


@pytest.mark.parametrize("name", ["X", "W", "R", "B", "initial_h", "initial_c", "P"])
def test_other_things_than_numbers(name: str) -> None:
    sentence = refused(lr.DTypeError, {name: NODE.inputs[name].astype(complex)})
    assert sentence.startswith(f"{name} has dtype complex128, and real numbers are needed")


def test_a_weight_of_whole_numbers() -> None:
    sentence = refused(lr.DTypeError, {"W": NODE.inputs["W"].astype(int)})
    assert sentence.startswith("W is int64, and weights are float32 or float64")


def test_what_goes_backward() -> None:
    with computing("numpy"):
        out = lr.onnx_op.lstm_forward(**NODE.inputs, keep_cache=True)
    without = lr.onnx_op.lstm_forward(**NODE.inputs)
    assert without.cache is None
    with pytest.raises(TypeError, match=r"cache is None: run onnx_op\.lstm_forward\(\.\.\., keep_"):
        lr.onnx_op.lstm_backward(None, None, None, without.cache)
    for n, (name, shape) in enumerate(
        [("d_Y", "(3, 1, 2, 5)"), ("d_Y_h", "(1, 2, 5)"), ("d_Y_c", "(1, 2, 5)")]
    ):
        wrong = [np.zeros((2, 2)) if m == n else None for m in range(3)]
        with pytest.raises(lr.ShapeError) as raised:
            lr.onnx_op.lstm_backward(*wrong, out.cache)
        axes = "[T,dirs,batch,H]" if name == "d_Y" else "[dirs,batch,H]"
        assert str(raised.value) == (
            f"{name} has shape (2, 2), and {shape} is needed: {axes} with layout=0"
        )


@pytest.mark.parametrize(
    ("attribute", "value", "sentence"),
    [
        ("activations", "Tanh", "activations is 'Tanh': a list is needed"),
        ("activations", ["Tanh", None, "Tanh"], "an attribute holds None where a name is needed"),
        ("activation_alpha", 0.1, "activation_alpha is 0.1: a list is needed"),
        ("direction", 1, "an attribute holds 1 where a name is needed"),
    ],
)
def test_attributes_of_another_kind(attribute: str, value: Any, sentence: str) -> None:
    node = make_node(0, (2, 3, 2, 2))
    with pytest.raises(ValueError, match=re.escape(sentence)):
        lr.onnx_op.lstm(**node.inputs, **{attribute: value})


def test_attributes_are_one_record() -> None:
    node = make_node(0, (2, 3, 2, 2))
    with pytest.raises(TypeError, match=r"attributes is a dict: give onnx_op\.Attributes"):
        lr.onnx_op.lstm_forward(**node.inputs, attributes={"clip": 1.0})
