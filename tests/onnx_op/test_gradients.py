"""The operator's backward pass against differences of its forward pass, under ONNX's names.

The forward pass is pinned elsewhere. Differences are taken in extended precision, where a step of
1e-6 costs nothing; what cannot be moved that little without crossing a kink is kept out of its way.
"""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lstm_ref as lr
from lstm_ref.conventions import split_gates
from lstm_ref.spec.activations import activate, activation_derivative
from tests.cases import BACKENDS, computing
from tests.onnx_op.cases import DIRECTIONS, INPUTS, SEEDS, Node, make_node, sizes

STEP = np.longdouble(1e-6)

Upstream = list[np.ndarray]


def gradients(node: Node, upstream: Upstream, backend: str) -> dict[str, np.ndarray]:
    """Ours, by the names of the inputs."""
    given_attributes = lr.onnx_op.Attributes(**node.attributes)
    with computing(backend):
        out = lr.onnx_op.lstm_forward(
            **node.with_nan_padding(), attributes=given_attributes, keep_cache=True
        )
        found = lr.onnx_op.lstm_backward(*upstream, out.cache)
    return {name.removeprefix("d_"): value for name, value in vars(found).items()}


def upstream_of(node: Node, seed: int) -> Upstream:
    """Random gradients on Y, Y_h and Y_c. Those on padding are there, and have no effect."""
    rng = np.random.default_rng(seed)
    T, batch, _ = node.inputs["X"].shape
    dirs, _, H = node.inputs["R"].shape
    return [rng.normal(size=(*steps, dirs, batch, H)) for steps in ((T,), (), ())]


def slope(node: Node, upstream: Upstream, name: str, move: np.ndarray) -> float:
    """Of the loss whose gradients on the outputs are ``upstream``, when one input moves."""
    wide = node.cast(np.longdouble)
    losses = []
    for sign in (1, -1):
        moved = wide | {name: wide[name] + sign * STEP * move}
        with computing("numpy"):  # alone has extended precision
            outputs = lr.onnx_op.lstm(**moved, **node.attributes)
        losses.append(sum(np.sum(y * d) for y, d in zip(outputs, upstream, strict=True)))
    return float((losses[0] - losses[1]) / (2 * STEP))


def moved_inputs(node: Node) -> list[str]:
    """The inputs that are numbers; the initial states are also looked at where they are zeros."""
    return [name for name, value in node.inputs.items() if value.dtype.kind == "f"]


SMOOTH: dict[str, dict[str, Any]] = {
    "the functions of every LSTM": {},
    "functions without parameters": {"activations": ["Softsign", "Softplus", "Sigmoid"]},
    "functions with parameters": {
        "activations": ["ScaledTanh", "Affine", "ScaledTanh"],
        "activation_alpha": [0.8, 0.5, 1.25],
        "activation_beta": [0.75, 0.25, 0.5],
    },
    "gates below zero and an affine output": {
        "activations": ["ScaledTanh", "Softplus", "Affine"],
        "activation_alpha": [0.75, -0.5],
        "activation_beta": [0.625, 0.375],
    },
    "coupled gates": {"input_forget": 1},
}


@settings(max_examples=150)
@given(
    seed=SEEDS,
    sizes=sizes(6),
    inputs=INPUTS,
    direction=st.sampled_from(DIRECTIONS),
    options=st.sampled_from(sorted(SMOOTH)),
    input_forget=st.sampled_from((0, 1)),
)
@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_are_slopes_in_a_random_direction(
    backend: str,
    seed: int,
    sizes: tuple[int, int, int, int],
    inputs: frozenset[str],
    direction: str,
    options: str,
    input_forget: int,
) -> None:
    """One direction through all entries of an input at once, for every input."""
    given_attributes = repeated(SMOOTH[options], direction) | {"input_forget": input_forget}
    node = make_node(seed, sizes, inputs, **given_attributes)
    upstream = upstream_of(node, seed + 1)
    ours = gradients(node, upstream, backend)
    rng = np.random.default_rng(seed + 2)
    for name in moved_inputs(node):
        move = rng.normal(size=node.inputs[name].shape)
        terms = ours[name] * move
        scale = np.abs(terms).sum() + 1e-3
        assert abs(terms.sum() - slope(node, upstream, name, move)) < 1e-9 * scale, name


def repeated(options: dict[str, Any], direction: str) -> dict[str, Any]:
    """The options of one direction, for as many as there are."""
    times = 2 if direction == "bidirectional" else 1
    lists = {name: value * times for name, value in options.items() if isinstance(value, list)}
    return options | lists | {"direction": direction}


KINKED: dict[str, dict[str, Any]] = {
    "clip": {"clip": 0.4},
    "clip and coupled gates": {"clip": 0.4, "input_forget": 1},
    "hard gates": {
        "activations": ["HardSigmoid", "Relu", "LeakyRelu"],
        "activation_alpha": [1.25, 0.125],
    },
    "elu and thresholds": {
        "activations": ["HardSigmoid", "Elu", "ThresholdedRelu"],
        "activation_alpha": [0.5, 0.75, 0.0625],
        "activation_beta": [0.375],
    },
    "thresholds at the candidate": {
        "activations": ["Elu", "ThresholdedRelu", "HardSigmoid"],
        "activation_alpha": [0.375, -0.25, 1.5],
    },
    "relu at the gates": {"activations": ["Relu", "LeakyRelu", "Elu"]},
}


def small_node(options: dict[str, Any], direction: str) -> Node:
    """With rows of no, some and all steps. No sum of it is within a step of a kink."""
    node = make_node(17, (3, 3, 2, 2), **repeated(options, direction))
    node.inputs["sequence_lens"][:] = [0, 2, 3]
    return node


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("options", KINKED)
def test_there_are_numbers_on_both_sides_of_the_kinks(options: str, direction: str) -> None:
    """Of the small node, in each direction and role: else they would not be tested."""
    node = small_node(KINKED[options], direction)
    given_attributes = lr.onnx_op.Attributes(**node.attributes)
    with computing("numpy"):
        out = lr.onnx_op.lstm_forward(**node.inputs, attributes=given_attributes, keep_cache=True)
    for core in out.cache.directions:
        z_i, z_f, z_g, z_o = split_gates(core.z[core.mask])
        gates = np.stack([z_i, z_f, z_o])
        if core.config.clip is not None:
            for z in (gates, z_g):
                assert 0.1 < np.mean(np.abs(z) == core.config.clip) < 0.9
            continue
        for function, z in (
            (core.config.recurrent_activation, gates),
            (core.config.activation, z_g),
            (core.config.activation_of_output, core.c[core.mask]),
        ):
            slopes = activation_derivative(function, z, activate(function, z))
            assert slopes.min() < slopes.max(), function


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("options", [*SMOOTH, *KINKED])
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_entry_is_a_slope(backend: str, options: str, direction: str) -> None:
    """Each entry of each input on its own, with everything there is: biases, peepholes, lengths."""
    node = small_node((SMOOTH | KINKED)[options], direction)
    upstream = upstream_of(node, 12)
    ours = gradients(node, upstream, backend)
    for name in moved_inputs(node):
        assert ours[name].shape == node.inputs[name].shape
        for index in np.ndindex(ours[name].shape):
            move = np.zeros(ours[name].shape)
            move[index] = 1
            expected = slope(node, upstream, name, move)
            assert abs(ours[name][index] - expected) < 1e-9 * (1 + abs(expected)), (name, index)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_flows_into_padding_or_into_a_row_without_steps(
    backend: str, direction: str
) -> None:
    node = make_node(13, (5, 4, 3, 2), direction=direction)
    ours = gradients(node, upstream_of(node, 14), backend)
    assert not ours["X"][node.padding].any()
    empty = node.inputs["sequence_lens"] == 0
    assert empty.any()
    for name in ("initial_h", "initial_c"):
        assert not ours[name][:, empty].any()
        assert ours[name][:, ~empty].all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_both_biases_have_the_gradient_of_their_sum(backend: str) -> None:
    node = make_node(15, (4, 3, 2, 5), direction="bidirectional")
    of_B = gradients(node, upstream_of(node, 16), backend)["B"]
    np.testing.assert_array_equal(of_B[:, :20], of_B[:, 20:])
    assert of_B.all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_output_without_a_gradient_counts_as_zeros(backend: str) -> None:
    """And the gradients are sums over the outputs; what is not there has none."""
    node = make_node(17, (4, 3, 2, 5), ("sequence_lens",), direction="bidirectional")
    upstream = upstream_of(node, 18)
    whole = gradients(node, upstream, backend)
    assert whole["B"] is whole["P"] is None
    parts = [
        gradients(node, [d if n == m else None for m, d in enumerate(upstream)], backend)
        for n in range(3)
    ]
    nothing = gradients(node, [None] * 3, backend)
    for name in ("X", "W", "R", "initial_h", "initial_c"):
        total = sum(part[name] for part in parts)
        np.testing.assert_allclose(whole[name], total, rtol=0, atol=1e-14, err_msg=name)
        assert not nothing[name].any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_float32_gradients_are_those_of_float64(backend: str) -> None:
    """2e-6 of the largest, as for every gradient in float32."""
    node = make_node(19, (20, 8, 10, 16), direction="bidirectional", clip=2.0)
    upstream = upstream_of(node, 20)
    expected = gradients(node, upstream, backend)
    narrow = Node(node.cast(np.float32), node.attributes)
    got = gradients(narrow, [d.astype(np.float32) for d in upstream], backend)
    for name, value in got.items():
        assert value.dtype == np.float32
        atol = 2e-6 * np.abs(expected[name]).max()
        np.testing.assert_allclose(value, expected[name], rtol=0, atol=atol, err_msg=name)
