"""The operator beside a live ONNX Runtime: all it computes, and the rules that only it tells."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import lstm_ref as lr
from lstm_ref.conventions import split_gates
from lstm_ref.onnx_op.attributes import ACTIVATIONS
from tests.cases import BACKENDS, computing
from tests.onnx_op.cases import (
    ALPHA,
    BETA,
    DIRECTIONS,
    INPUTS,
    SEEDS,
    STEADY_GATES,
    Node,
    attributes,
    make_node,
    sizes,
)
from tests.onnx_op.onnxruntime_peer import run

pytestmark = pytest.mark.parametrize("backend", BACKENDS)


ANYTHING = 3e-6
"""Where every function may meet every other, one node in thousands is off by 1.7e-6: a cell
state adds up what each step is off by, and ONNX Runtime's sigmoid is an approximation."""


def compare(node: Node, backend: str, rtol: float = 1e-6) -> None:
    """Our outputs are ONNX Runtime's to so much of the largest number, or of 1.

    Ours also have to be so where the padding is NaN, which ONNX Runtime does not get to see.
    """
    expected = run(node.inputs, node.attributes)
    with computing(backend):
        got = lr.onnx_op.lstm(**node.with_nan_padding(), **node.attributes)
    scale = max([1.0, *(float(np.abs(y).max(initial=0)) for y in expected)])
    for name, ours, theirs in zip(("Y", "Y_h", "Y_c"), got, expected, strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=rtol * scale, err_msg=name)


def distance_to_a_jump(node: Node) -> float:
    """How near anything comes to where a ThresholdedRelu jumps: there, rounding decides."""
    given = lr.onnx_op.Attributes(**node.attributes)
    with computing("numpy"):
        out = lr.onnx_op.lstm_forward(**node.inputs, attributes=given, keep_cache=True)
    nearest = np.inf
    for core in out.cache.directions:
        z_i, z_f, z_g, z_o = split_gates(core.z)
        for function, arguments in (
            (core.config.recurrent_activation, (z_i, z_f, z_o)),
            (core.config.activation, (z_g,)),
            (core.config.output_activation, (core.c,)),
        ):
            name, *alpha = function
            if name == "thresholded_relu" and alpha[0] != 0:
                nearest = min(nearest, *(np.abs(a - alpha[0]).min() for a in arguments))
    return nearest


@settings(max_examples=400)
@given(seed=SEEDS, sizes=sizes(40), inputs=INPUTS, given_attributes=attributes(STEADY_GATES))
def test_any_node(
    backend: str,
    seed: int,
    sizes: tuple[int, int, int, int],
    inputs: frozenset[str],
    given_attributes: dict[str, Any],
) -> None:
    node = make_node(seed, sizes, inputs, np.float32, **given_attributes)
    assume(distance_to_a_jump(node) > 1e-5)
    compare(node, backend, ANYTHING)


@settings(max_examples=200)
@given(
    seed=SEEDS, T=st.integers(1, 3), sizes=sizes(40), inputs=INPUTS, given_attributes=attributes()
)
def test_any_function_in_any_role(
    backend: str,
    seed: int,
    T: int,
    sizes: tuple[int, int, int, int],
    inputs: frozenset[str],
    given_attributes: dict[str, Any],
) -> None:
    """Gates above 1 make the cell state explode, so these sequences are short."""
    node = make_node(seed, (T, *sizes[1:]), inputs, np.float32, **given_attributes)
    assume(distance_to_a_jump(node) > 1e-5)
    compare(node, backend, ANYTHING)


@pytest.mark.parametrize("role", [0, 1, 2])
@pytest.mark.parametrize("function", ACTIVATIONS)
def test_every_function_has_its_own_alpha_and_beta(backend: str, function: str, role: int) -> None:
    """Without lists the values are the function's own, in each role and direction."""
    names = ["Sigmoid", "Tanh", "Tanh", "Softsign", "Sigmoid", "Softplus"]
    names[role] = names[3 + role] = function
    sizes = (3, 4, 5, 6)
    compare(
        make_node(1, sizes, dtype=np.float32, activations=names, direction="bidirectional"), backend
    )
    some: dict[str, Any] = {"activations": names, "direction": "bidirectional"}
    if function in ALPHA:
        some["activation_alpha"] = [0.25]  # for the first direction alone
    if function in BETA:
        some["activation_beta"] = [0.375, 0.625]
    compare(make_node(2, sizes, dtype=np.float32, **some), backend)


def one_step(z: dict[str, float], c: float = 0.0, **attributes: Any) -> Node:
    """One step of one unit, whose pre-activations are these and whose cell state was c."""
    W = np.array([[[z.get(gate, 0.0)] for gate in "iofc"]], np.float32)
    inputs = {
        "X": np.ones((1, 1, 1), np.float32),
        "W": W,
        "R": np.zeros_like(W),
        "initial_h": np.zeros((1, 1, 1), np.float32),
        "initial_c": np.full((1, 1, 1), c, np.float32),
    }
    return Node(inputs, attributes)


@pytest.mark.parametrize("alpha", [-0.5, 0.0, 0.5])
def test_thresholded_relu_is_zero_at_its_threshold(backend: str, alpha: float) -> None:
    """The operator's page says x >= α. In each role: exactly at α, a little above, and below."""
    for z in (alpha, np.nextafter(np.float32(alpha), np.float32(9)), alpha - 0.1):
        for names, node_z, c in (
            (("ThresholdedRelu", "Relu", "Relu"), {"i": z, "c": 1.0}, 0.0),
            (("Relu", "ThresholdedRelu", "Relu"), {"i": 1.0, "c": z}, 0.0),
            (("Relu", "Relu", "ThresholdedRelu"), {"f": 1.0, "o": 1.0}, z),
        ):
            node = one_step(node_z, c, activations=names, activation_alpha=[alpha])
            theirs = run(node.inputs, node.attributes)
            with computing(backend):
                ours = lr.onnx_op.lstm(**node.inputs, **node.attributes)
            for expected, got in zip(theirs, ours, strict=True):
                np.testing.assert_array_equal(got, expected)
            if names[1] == "ThresholdedRelu":
                assert ours[2] == (z if z > alpha else 0)


def test_clip_is_for_what_goes_into_the_functions_and_not_for_the_cell_state(backend: str) -> None:
    """i = 10 - 9, f = 30 - 29 and c = 40 come within 5: C = 1·1 + 1·5, and h sees 6."""
    node = one_step({"i": 10, "o": 20, "f": 30, "c": 40}, 1.0, activations=["Relu"] * 3, clip=5.0)
    node.inputs["P"] = np.array([[-9, -2, -29]], np.float32)
    compare(node, backend)
    with computing(backend):
        _, Y_h, Y_c = lr.onnx_op.lstm(**node.inputs, **node.attributes)
    assert (Y_c.item(), Y_h.item()) == (6.0, 5.0 * 6.0)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_without_steps_there_is_no_state(backend: str, direction: str) -> None:
    """Length 0, and T = 0: zeros, and the initial state is not seen."""
    node = make_node(3, (4, 3, 2, 5), dtype=np.float32, direction=direction)
    node.inputs["sequence_lens"][:] = [0, 3, 0]
    compare(node, backend)
    with computing(backend):
        Y, Y_h, Y_c = lr.onnx_op.lstm(**node.with_nan_padding(), direction=direction)
    for states in (Y[:, :, [0, 2]], Y_h[:, [0, 2]], Y_c[:, [0, 2]]):
        assert not states.any()

    node.inputs["X"] = node.inputs["X"][:0]
    del node.inputs["sequence_lens"]
    with computing(backend):
        ours = lr.onnx_op.lstm(**node.inputs, direction=direction)
    theirs = run(node.inputs, node.attributes)[:2]  # its Y_c holds whatever was in memory
    for got, expected in zip(ours[:2], theirs, strict=True):
        np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(ours[2], np.zeros_like(Y_c))


def test_coupled_gates_do_not_use_what_belongs_to_f(backend: str) -> None:
    node = make_node(4, (3, 2, 4, 5), dtype=np.float32, input_forget=1)
    f = slice(10, 15)  # the third of four blocks, and the last of three
    with computing(backend):
        before = lr.onnx_op.lstm(**node.inputs, **node.attributes)
        for name in ("W", "R", "B"):
            node.inputs[name][:, f] = 9
        node.inputs["P"][:, f] = 9
        after = lr.onnx_op.lstm(**node.inputs, **node.attributes)
    compare(node, backend)
    for b, a in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("opset", [7, 13, 14, 22])
def test_every_opset_computes_the_same(backend: str, opset: int) -> None:
    node = make_node(5, (3, 2, 4, 5), dtype=np.float32)
    with computing(backend):
        ours = lr.onnx_op.lstm(**node.inputs)
    for got, expected in zip(ours, run(node.inputs, {}, opset), strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=5e-7)


# Where the two part, as the module's docstring says. These keep it true.


def test_both_refuse_the_same(backend: str) -> None:
    node = make_node(6, (3, 2, 4, 5), dtype=np.float32)
    refused: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({}, {"clip": 0.0}),
        ({}, {"clip": -1.0}),
        ({}, {"clip": float("nan")}),
        ({}, {"direction": "Forward"}),
        ({}, {"direction": "backward"}),
        ({}, {"direction": "bidirectional"}),
        ({}, {"activations": ["Sigmoid", "Tanh"]}),
        ({}, {"activations": ["Sigmoid", "Tanh", "Tanh"] * 2}),
        ({}, {"activations": ["Sigmoid", "Tanh", "Gelu"]}),
        ({}, {"activations": ["Sigmoid", "Identity", "Tanh"]}),
        ({}, {"hidden_size": 4}),
        ({}, {"layout": 2}),
        ({"sequence_lens": np.array([4, 3], np.int32)}, {}),
        ({"sequence_lens": np.array([-1, 3], np.int32)}, {}),
        ({"sequence_lens": np.array([3], np.int32)}, {}),
        *(({name: np.zeros((1, 1), np.float32)}, {}) for name in ("B", "initial_h", "P")),
        *(({name: np.zeros(0, np.float32)}, {}) for name in ("B", "initial_c", "P")),
    ]
    for inputs, given_attributes in refused:
        with pytest.raises(Exception, match="ONNXRuntimeError"):
            run(node.inputs | inputs, given_attributes)
        with pytest.raises(ValueError, match=r"need|knows|has H|a row has"), computing(backend):
            lr.onnx_op.lstm(**node.inputs | inputs, **given_attributes)


def test_a_surplus_of_alphas_is_ignored_there_and_refused_here(backend: str) -> None:
    node = make_node(7, (3, 2, 4, 5), dtype=np.float32)
    surplus = {"activation_alpha": [0.5], "activation_beta": [0.25]}
    for with_it, without in zip(run(node.inputs, surplus), run(node.inputs, {}), strict=True):
        np.testing.assert_array_equal(with_it, without)
    with pytest.raises(ValueError, match="would have no effect"), computing(backend):
        lr.onnx_op.lstm(**node.inputs, **surplus)


def test_only_layout_0_runs_there(backend: str) -> None:
    node = make_node(8, (3, 2, 4, 5), dtype=np.float32)
    with pytest.raises(Exception, match="layout"):
        run(node.inputs, {"layout": 1})


def test_softplus_overflows_there_and_not_here(backend: str) -> None:
    node = one_step({"i": 1, "c": 100}, activations=["Relu", "Softplus", "Tanh"])
    assert run(node.inputs, node.attributes)[2] == np.inf
    with computing(backend):
        assert lr.onnx_op.lstm(**node.inputs, **node.attributes)[2] == 100
