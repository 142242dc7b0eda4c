"""The operator in float64 beside its equations, number by number, and what follows from its rules.

ONNX Runtime computes this operator in float32 only, so this is the sharp gate: a step, a gate or a
sign in the wrong place shows here a million times over.
"""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lstm_ref as lr
from tests.cases import BACKENDS, computing
from tests.onnx_op import scalar
from tests.onnx_op.cases import (
    DIRECTIONS,
    INPUTS,
    OPTIONAL,
    SEEDS,
    STEADY_GATES,
    attributes,
    make_node,
    sizes,
)

pytestmark = pytest.mark.parametrize("backend", BACKENDS)


@settings(max_examples=200)
@given(
    seed=SEEDS,
    sizes=sizes(5),
    inputs=INPUTS,
    given_attributes=st.one_of(attributes(STEADY_GATES), attributes()),
)
def test_any_node(
    backend: str,
    seed: int,
    sizes: tuple[int, int, int, int],
    inputs: frozenset[str],
    given_attributes: dict[str, Any],
) -> None:
    """1e-14 of the largest number: some fifty roundings, where a few are measured."""
    node = make_node(seed, sizes, inputs, **given_attributes)
    expected = scalar.lstm(**node.inputs, **given_attributes)
    scale = max(1.0, *(float(np.abs(y).max()) for y in expected))
    with computing(backend):
        got = lr.onnx_op.lstm(**node.with_nan_padding(), **given_attributes)
    for name, ours, theirs in zip(("Y", "Y_h", "Y_c"), got, expected, strict=True):
        assert ours.dtype == np.float64
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-14 * scale, err_msg=name)


def test_the_backend_is_the_one_asked_for(backend: str) -> None:
    with computing(backend):
        out = lr.onnx_op.lstm_forward(**make_node(0, (3, 2, 4, 5)).inputs, keep_cache=True)
    assert [core.backend for core in out.cache.directions] == [backend]


def in_front(array: np.ndarray) -> np.ndarray:
    """From layout 0 to layout 1."""
    return np.ascontiguousarray(np.moveaxis(array, -2, 0))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_layout_1_has_the_batch_in_front(backend: str, direction: str) -> None:
    """The numbers of layout 0, forward and backward."""
    node = make_node(1, (5, 3, 4, 2), direction=direction, clip=1.5)
    rng = np.random.default_rng(2)
    with computing(backend):
        expected = lr.onnx_op.lstm_forward(
            **node.inputs, attributes=lr.onnx_op.Attributes(**node.attributes), keep_cache=True
        )
        upstream = [rng.normal(size=y.shape) for y in (expected.Y, expected.Y_h, expected.Y_c)]
        expected_gradients = lr.onnx_op.lstm_backward(*upstream, expected.cache)

        with_batch = ("X", "initial_h", "initial_c")
        inputs = {n: in_front(v) if n in with_batch else v for n, v in node.inputs.items()}
        layout_1 = lr.onnx_op.Attributes(**node.attributes, layout=1)
        got = lr.onnx_op.lstm_forward(**inputs, attributes=layout_1, keep_cache=True)
        gradients = lr.onnx_op.lstm_backward(*map(in_front, upstream), got.cache)
    dirs = node.directions
    assert got.Y.shape == (3, 5, dirs, 2)
    assert got.Y_h.shape == got.Y_c.shape == (3, dirs, 2)
    for name in ("Y", "Y_h", "Y_c"):
        moved = in_front(getattr(expected, name))
        np.testing.assert_allclose(getattr(got, name), moved, rtol=0, atol=1e-15, err_msg=name)
    for name, value in vars(expected_gradients).items():
        moved = in_front(value) if name[2:] in with_batch else value
        np.testing.assert_allclose(getattr(gradients, name), moved, rtol=0, atol=1e-14)


def test_two_directions_are_one_of_each(backend: str) -> None:
    """Each with its own weights, functions and share of the lists of α and β."""
    names = ["HardSigmoid", "LeakyRelu", "Elu", "HardSigmoid", "Tanh", "ScaledTanh"]
    node = make_node(3, (4, 3, 2, 5), direction="bidirectional")
    with computing(backend):
        Y, Y_h, Y_c = lr.onnx_op.lstm(
            **node.inputs, direction="bidirectional", activations=names,
            activation_alpha=[0.1, 0.2, 0.3, 0.4, 0.5], activation_beta=[0.6, 0.7, 0.8],
        )  # fmt: skip
        for n, (direction, alpha, beta) in enumerate(
            [("forward", [0.1, 0.2, 0.3], [0.6]), ("reverse", [0.4, 0.5], [0.7, 0.8])]
        ):
            own = {
                name: value if name in ("X", "sequence_lens") else value[n : n + 1]
                for name, value in node.inputs.items()
            }
            one = lr.onnx_op.lstm(
                **own, direction=direction, activations=names[3 * n : 3 * n + 3],
                activation_alpha=alpha, activation_beta=beta,
            )  # fmt: skip
            np.testing.assert_array_equal(one[0], Y[:, n : n + 1])
            np.testing.assert_array_equal(one[1], Y_h[n : n + 1])
            np.testing.assert_array_equal(one[2], Y_c[n : n + 1])


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_row_is_as_it_would_be_alone_without_its_padding(backend: str, direction: str) -> None:
    node = make_node(4, (6, 4, 3, 5), direction=direction)
    with computing(backend):
        Y, Y_h, Y_c = lr.onnx_op.lstm(**node.with_nan_padding(), **node.attributes)
        for row, length in enumerate(node.inputs["sequence_lens"]):
            own = dict(node.inputs, X=node.inputs["X"][:length, row : row + 1])
            del own["sequence_lens"]
            for name in ("initial_h", "initial_c"):
                own[name] = own[name][:, row : row + 1]
            alone = lr.onnx_op.lstm(**own, **node.attributes)
            np.testing.assert_allclose(Y[:length, :, row], alone[0][:, :, 0], rtol=0, atol=1e-15)
            np.testing.assert_allclose(Y_h[:, row], alone[1][:, 0], rtol=0, atol=1e-15)
            np.testing.assert_allclose(Y_c[:, row], alone[2][:, 0], rtol=0, atol=1e-15)
            assert not Y[length:, :, row].any()


@pytest.mark.parametrize("layout", [0, 1])
@pytest.mark.parametrize(("T", "batch"), [(0, 3), (4, 0), (0, 0)])
def test_nothing_in_gives_nothing_out(backend: str, T: int, batch: int, layout: int) -> None:
    node = make_node(5, (1, 1, 2, 3), OPTIONAL, direction="bidirectional")
    shapes = ((batch, T, 2), (batch, 2, 3)) if layout else ((T, batch, 2), (2, batch, 3))
    inputs = node.inputs | {
        "X": np.ones(shapes[0]),
        "initial_h": np.ones(shapes[1]),
        "initial_c": np.ones(shapes[1]),
        "sequence_lens": np.zeros(batch, np.int32),
    }
    given_attributes = lr.onnx_op.Attributes(direction="bidirectional", layout=layout)
    with computing(backend):
        out = lr.onnx_op.lstm_forward(**inputs, attributes=given_attributes, keep_cache=True)
        gradients = lr.onnx_op.lstm_backward(
            np.ones_like(out.Y), np.ones_like(out.Y_h), None, out.cache
        )
    assert out.Y.shape == ((batch, T, 2, 3) if layout else (T, 2, batch, 3))
    assert out.Y_h.shape == out.Y_c.shape == shapes[1]
    assert not out.Y_h.any()
    assert not out.Y_c.any()
    for name, value in vars(gradients).items():
        assert value.shape == inputs[name[2:]].shape
        assert not value.any(), name


def test_what_is_left_out_has_its_default(backend: str) -> None:
    """None, an empty list of functions, and strings as bytes, which is how onnx gives them."""
    node = make_node(6, (4, 3, 2, 5), ())
    T, batch, _ = node.inputs["X"].shape
    zeros = {
        "B": np.zeros((1, 40)),
        "P": np.zeros((1, 15)),
        "initial_h": np.zeros((1, batch, 5)),
        "initial_c": np.zeros((1, batch, 5)),
        "sequence_lens": [T] * batch,
    }
    spelled_out = {
        "activations": [b"sigmoid", b"TANH", "Tanh"],
        "activation_alpha": np.zeros(0),
        "activation_beta": [],
        "clip": np.inf,
        "direction": b"forward",
        "hidden_size": 5,
        "input_forget": False,
        "layout": 0,
    }
    with computing(backend):
        expected = lr.onnx_op.lstm(**node.inputs)
        for given_attributes in ({}, spelled_out, {"activations": []}):
            for inputs in (node.inputs, node.inputs | zeros):
                got = lr.onnx_op.lstm(**inputs, **given_attributes)
                for ours, theirs in zip(got, expected, strict=True):
                    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-15)


def test_what_comes_in_is_read_as_numbers_and_left_alone(backend: str) -> None:
    """Lists, integers, big-endian and read-only arrays; and the arguments in ONNX's order."""
    node = make_node(7, (3, 2, 4, 5), dtype=np.float32, input_forget=1)
    node.inputs["X"] = np.arange(24, dtype=np.float32).reshape(3, 2, 4) % 3 - 1
    before = {name: value.copy() for name, value in node.inputs.items()}
    for value in node.inputs.values():
        value.flags.writeable = False
    swapped = {n: v.astype(v.dtype.newbyteorder(">")) for n, v in node.inputs.items()}
    swapped["X"] = node.inputs["X"].astype(int).tolist()
    with computing(backend):
        expected = lr.onnx_op.lstm(**node.inputs, **node.attributes)
        order = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
        by_position = lr.onnx_op.lstm(
            *(node.inputs[name] for name in order), None, None, None, None, "forward", 5, 1, 0
        )
        got = lr.onnx_op.lstm(**swapped, **node.attributes)
    for theirs, *ours in zip(expected, by_position, got, strict=True):
        for y in ours:
            assert y.dtype == np.float32
            assert y.flags.c_contiguous
            np.testing.assert_array_equal(y, theirs)
    for name, value in before.items():
        np.testing.assert_array_equal(node.inputs[name], value)
