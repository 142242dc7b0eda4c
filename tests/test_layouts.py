"""The layouts of Keras, PyTorch and ONNX: there and back, and every wrong gate order is caught.

Each vocabulary is compared with its own framework, first with the gate order it has, and then with
each of the 23 others. Only the right one passes.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest

import lstm_ref as lr
from lstm_ref import layouts
from lstm_ref.conventions import GATES, PEEPHOLE_GATES
from lstm_ref.errors import ShapeError, UnsupportedError
from tests.cases import BACKENDS, computing, random_params
from tests.keras_peer import library_dtype
from tests.peers import ROOT, require

sys.path.append(str(ROOT / "docs"))

from _ext import vocabularies

B, T, D, H = 3, 4, 2, 3
WRONG = [order for order in permutations(GATES) if order != GATES]


def test_there_are_23_wrong_orders() -> None:
    assert len(WRONG) == len(set(WRONG)) == 23


# The comparisons: what the frameworks compute with weights of theirs, and what we make of them.


def compare_with_keras(rng: np.random.Generator) -> None:
    require("keras")
    params = random_params(D, H, "float64", rng)
    x = rng.normal(size=(B, T, D))
    with library_dtype("float64"):
        import keras

        layer = keras.layers.LSTM(H, return_sequences=True)
        layer.build(x.shape)
        layer.set_weights([params.kernel, params.recurrent_kernel, params.bias])
        expected = np.asarray(layer(x))
    given = [layouts.reorder(w.copy(), layouts.KERAS.gates, GATES) for w in vars(params).values()
             if w is not None]  # fmt: skip
    np.testing.assert_allclose(lr.lstm_forward(x, lr.LSTMParams(*given)).hs, expected, atol=2e-15)


def compare_with_torch(rng: np.random.Generator) -> None:
    torch = require("torch")
    x = rng.normal(size=(T, B, D))
    theirs = torch.nn.LSTM(D, H, dtype=torch.float64)
    ours = lr.nn.LSTM(D, H, dtype="float64")
    with torch.no_grad():
        for weight in theirs.parameters():
            weight.copy_(torch.tensor(rng.normal(scale=0.5, size=tuple(weight.shape))))
        expected = theirs(torch.tensor(x))[0].numpy()
    ours.load_state_dict({name: w.numpy() for name, w in theirs.state_dict().items()})
    np.testing.assert_allclose(ours(x)[0], expected, atol=4e-15)


def compare_with_onnxruntime(rng: np.random.Generator, peepholes: bool = False) -> None:
    onnx, runtime = require("onnx"), require("onnxruntime")
    shapes = {"X": (T, B, D), "W": (1, 4 * H, D), "R": (1, 4 * H, H), "B": (1, 8 * H)}
    if peepholes:
        shapes["P"] = (1, 3 * H)
    inputs = {n: rng.normal(scale=0.5, size=s).astype("float32") for n, s in shapes.items()}
    names = ["X", "W", "R", "B", "", "", "", "P" if peepholes else ""]
    node = onnx.helper.make_node("LSTM", names, ["Y"], hidden_size=H)
    kind = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [node], "one", [onnx.helper.make_tensor_value_info(n, kind, s) for n, s in shapes.items()],
        [onnx.helper.make_tensor_value_info("Y", kind, None)],
    )  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 14)])
    model.ir_version = 10
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (expected,) = session.run(None, inputs)
    np.testing.assert_allclose(lr.onnx_op.lstm(**inputs)[0], expected, atol=1e-6)


COMPARISONS: dict[str, Callable[..., None]] = {
    "KERAS": compare_with_keras,
    "TORCH": compare_with_torch,
    "ONNX": compare_with_onnxruntime,
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", COMPARISONS)
def test_the_right_order_is_the_frameworks(
    name: str, backend: str, rng: np.random.Generator
) -> None:
    with computing(backend):
        COMPARISONS[name](rng)


@pytest.mark.parametrize("name", COMPARISONS)
def test_every_wrong_order_is_caught(
    name: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout: layouts.Layout = getattr(layouts, name)
    caught = 0
    for order in permutations(layout.gates):
        monkeypatch.setattr(layouts, name, replace(layout, gates=order))
        if order == layout.gates:
            COMPARISONS[name](rng)
        else:
            with pytest.raises(AssertionError, match="Not equal to tolerance"):
                COMPARISONS[name](rng)
            caught += 1
    assert caught == 23


def test_every_wrong_order_of_the_peepholes_is_caught(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for order in permutations(layouts.ONNX.peephole_gates):
        with monkeypatch.context() as patch:
            patch.setattr(layouts, "ONNX", replace(layouts.ONNX, peephole_gates=order))
            if order == ("i", "o", "f"):
                compare_with_onnxruntime(rng, peepholes=True)
            else:
                with pytest.raises(AssertionError, match="Not equal to tolerance"):
                    compare_with_onnxruntime(rng, peepholes=True)


# There and back.


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("projection", [None, 2])
def test_there_and_back_through_torch(
    projection: int | None, bias: bool, rng: np.random.Generator
) -> None:
    params = random_params(D, H, "float64", rng, bias, projection=projection)
    again = layouts.params_from_torch(layouts.params_to_torch(params))
    assert_same(again, params)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("peephole", [True, False])
def test_there_and_back_through_onnx(peephole: bool, bias: bool, rng: np.random.Generator) -> None:
    params = random_params(D, H, "float64", rng, bias, peephole)
    assert_same(layouts.params_from_onnx(*layouts.params_to_onnx(params)), params)


def assert_same(got: lr.LSTMParams, expected: lr.LSTMParams) -> None:
    for name, weight in vars(expected).items():
        if weight is None:
            assert getattr(got, name) is None, name
        else:
            np.testing.assert_array_equal(getattr(got, name), weight, err_msg=name)


def test_two_biases_are_added(rng: np.random.Generator) -> None:
    params = random_params(D, H, "float64", rng)
    weights = layouts.params_to_torch(params)
    weights["bias_hh"] = rng.normal(size=4 * H)
    np.testing.assert_array_equal(
        layouts.params_from_torch(weights).bias, params.bias + weights["bias_hh"]
    )


def test_the_shapes_that_are_said_are_those_that_are_there() -> None:
    """The strings of ``Layout.weights`` against weights of each vocabulary."""
    sizes = {"D": 2, "H": 3, "P": 1, "4H": 12, "8H": 24, "3H": 9}

    def said(layout: layouts.Layout) -> dict[str, tuple[int, ...]]:
        return {
            name: tuple(sizes[axis] for axis in shape.strip("[]").split(","))
            for name, shape in layout.weights.items()
        }

    layer = lr.layers.LSTM(3)
    layer.build((None, None, 2))
    assert said(layouts.KERAS) == {name: w.shape for name, w in layer.params.items()}
    state = lr.nn.LSTM(2, 3, proj_size=1).state_dict()
    assert said(layouts.TORCH) == {n.removesuffix("_l0"): w.shape for n, w in state.items()}
    params = random_params(2, 3, "float64", np.random.default_rng(0), peephole=True)
    arrays = zip("WRBP", layouts.params_to_onnx(params), strict=True)
    assert said(layouts.ONNX) == {name: w.shape for name, w in arrays}


def test_blocks_that_are_no_blocks_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"\(5, 7\) has no 4 blocks along axis -1.*i, f, g, o"):
        layouts.reorder(np.zeros((5, 7)), GATES, GATES)
    assert layouts.ONNX.peephole_gates != PEEPHOLE_GATES


def test_weights_without_a_place_in_the_other_vocabulary_are_refused(
    rng: np.random.Generator,
) -> None:
    with pytest.raises(UnsupportedError, match="PyTorch's LSTM has no peepholes"):
        layouts.params_to_torch(random_params(D, H, "float64", rng, peephole=True))
    with pytest.raises(UnsupportedError, match="ONNX' operator LSTM has no projection"):
        layouts.params_to_onnx(random_params(D, H, "float64", rng, projection=2))


def test_names_of_torch_that_do_not_belong_are_named(rng: np.random.Generator) -> None:
    weights = layouts.params_to_torch(random_params(D, H, "float64", rng))
    with pytest.raises(ShapeError, match=r"weight_hh, weight_ih is missing.*cut that off"):
        layouts.params_from_torch({f"{name}_l0": w for name, w in weights.items()})
    with pytest.raises(ShapeError, match="bias_ih_l0 came"):
        layouts.params_from_torch(weights | {"bias_ih_l0": weights["bias_ih"]})


def test_both_directions_of_onnx_at_once_are_refused(rng: np.random.Generator) -> None:
    W, R, bias, _ = layouts.params_to_onnx(random_params(D, H, "float64", rng))
    with pytest.raises(ShapeError, match=r"those of one direction are needed.*W\[0\]"):
        layouts.params_from_onnx(W[None], R[None], bias[None])


# The table of the documentation.


def test_the_table_says_what_the_frameworks_document() -> None:
    heading, rows = vocabularies.table()
    assert heading == ["", "Keras", "PyTorch", "ONNX"]
    cells: dict[str, list[Any]] = {row[0]: row[1:] for row in rows}
    assert cells["gate order"] == ["i, f, c, o", "i, f, g, o", "i, o, f, c"]
    assert cells["output, both directions"] == ["[B,T,2H]", "[T,B,2H]", "[T,2,B,H]"]
    assert cells["final states"] == ["2 × [B,H]", "2 × [1,B,H]", "2 × [1,B,H]"]
    assert [c.partition(";")[0] for c in cells["output at a padded step"]] == [
        "that of the step before", "0", "0",
    ]  # fmt: skip
    assert all(len(row) == 4 and all(row) for row in rows)
