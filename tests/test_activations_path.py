"""``lstm_ref.activations``: Keras' functions under Keras' path, and layers that take them."""

import inspect
from types import FunctionType
from typing import Any

import numpy as np
import pytest

import lstm_ref as lr
from lstm_ref import activations
from lstm_ref.layers import LSTM, Activation, Dense
from lstm_ref.spec import activations as spec
from tests.peers import require

FUNCTIONS = sorted(activations.FUNCTIONS)
PARAMETERS: dict[str, dict[str, float]] = {
    "leaky_relu": {"negative_slope": 0.05},
    "elu": {"alpha": 0.3},
    "celu": {"alpha": 0.4},
    "squareplus": {"b": 0.7},
    "soft_shrink": {"threshold": 0.8},
    "hard_shrink": {"threshold": 0.8},
    "threshold": {"threshold": 0.3, "default_value": -2.0},
}
"""Keras' names, and values that are not the usual ones."""


def numbers(dtype: str) -> np.ndarray:
    return np.random.default_rng(5).normal(scale=3, size=(4, 7)).astype(dtype)


def test_the_names_are_those_of_keras_but_for_two() -> None:
    theirs = require("keras").activations
    names = {name for name in dir(theirs) if isinstance(getattr(theirs, name), FunctionType)}
    assert set(activations.__all__) == names - set(NOT_THERE)
    assert {"get", "serialize", "deserialize"} <= names


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_arguments_are_those_of_keras(name: str) -> None:
    theirs = inspect.signature(getattr(require("keras").activations, name)).parameters
    ours = inspect.signature(getattr(activations, name)).parameters
    assert [(p.name, p.default) for p in ours.values()] == [
        (p.name, p.default) for p in theirs.values()
    ]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_equals_that_of_keras(name: str, dtype: str) -> None:
    x = numbers(dtype)
    rtol = 16 * np.finfo(dtype).eps
    if dtype == "float64" and name in ("leaky_relu", "gelu"):
        rtol += 2e-8  # Keras' constants are float32
    for parameters in ({}, PARAMETERS.get(name)):
        if parameters is None or (name == "threshold" and not parameters):
            continue
        expected = getattr(require("keras").activations, name)(x, **parameters)
        got = getattr(activations, name)(x, **parameters)
        assert type(got) is np.ndarray
        assert got.dtype == x.dtype
        assert not np.shares_memory(got, x)
        np.testing.assert_allclose(got, expected, rtol=rtol, atol=rtol)


def test_what_is_no_array_of_floats_becomes_floatx() -> None:
    for x in ([-1.5, 2.0], [-1, 2], np.array([-1, 2]), np.array([-1, 2], "float16"), 1.5, True):
        assert activations.tanh(x).dtype == np.float32
        assert activations.tanh(x).shape == np.shape(x)
    lr.set_floatx("float64")
    try:
        assert activations.relu([-1.5, 2.0]).dtype == np.float64
        assert activations.relu(np.float32(2)).dtype == np.float32
    finally:
        lr.set_floatx("float32")
    assert activations.relu(np.ones(2, ">f8")).dtype == np.dtype("float64")
    assert activations.mish(np.ones(2, np.longdouble)).dtype == np.longdouble
    with pytest.raises(lr.DTypeError, match="x has dtype complex128"):
        activations.relu(np.ones(2, complex))


@pytest.mark.parametrize(
    "arguments", [{"negative_slope": 0.1}, {"max_value": 6.0}, {"max_value": 0}, {"threshold": 1}]
)
def test_what_relu_does_not_take_is_refused_by_name(arguments: dict[str, Any]) -> None:
    (name,) = arguments
    with pytest.raises(lr.UnsupportedError, match=rf"relu\({name}=.*relu6"):
        activations.relu(numbers("float32"), **arguments)
    usual = activations.relu(numbers("float32"), 0.0, None, 0)
    np.testing.assert_array_equal(usual, activations.relu(numbers("float32")))


def test_the_approximate_gelu_is_refused() -> None:
    with pytest.raises(lr.UnsupportedError, match=r"gelu\(approximate=True\)"):
        activations.gelu(numbers("float32"), approximate=True)


NOT_THERE = ("glu", "sparsemax")


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_what_mixes_the_units_is_for_no_gate(name: str) -> None:
    for activation in (name, getattr(activations, name), activations.get(name)):
        for argument in ("activation", "recurrent_activation"):
            with pytest.raises(lr.UnsupportedError, match=f"'{name}' mixes the units"):
                LSTM(4, **{argument: activation})


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("shape", [(4,), (2, 3), (2, 3, 4)])
def test_the_axis_is_the_last(name: str, shape: tuple[int, ...]) -> None:
    function = getattr(activations, name)
    x = np.random.default_rng(3).normal(size=shape)
    np.testing.assert_array_equal(function(x, axis=len(shape) - 1), function(x))
    for axis in (-2, len(shape), None, True):
        with pytest.raises(lr.UnsupportedError, match=rf"{name}\(axis={axis}\) is not supported"):
            function(x, axis=axis)
    with pytest.raises(lr.ShapeError, match=f"{name} of one number"):
        function(1.0)


@pytest.mark.parametrize("name", NOT_THERE)
def test_what_else_mixes_the_units_is_refused_by_name(name: str) -> None:
    for attempt in (
        lambda: getattr(activations, name),
        lambda: activations.get(name),
        lambda: exec(f"from lstm_ref.activations import {name}", {}),
        lambda: LSTM(4, activation=name),
    ):
        with pytest.raises(lr.UnsupportedError, match=f"'{name}' mixes the units"):
            attempt()
    with pytest.raises(AttributeError, match="softmix"):
        _ = activations.softmix


@pytest.mark.parametrize("name", [*FUNCTIONS, *spec.ALIASES])
def test_get_and_serialize_equal_keras(name: str) -> None:
    keras = require("keras")
    function = activations.get(name)
    assert function is getattr(activations, name)
    assert activations.get(function) is function
    serialized = activations.serialize(function)
    assert serialized == keras.activations.serialize(keras.activations.get(name))
    assert activations.deserialize(serialized) is function
    whole = keras.saving.serialize_keras_object(keras.activations.get(name))
    assert activations.deserialize(whole) is function


def test_get_of_a_name_with_parameters() -> None:
    x = numbers("float64")
    for name, parameters in PARAMETERS.items():
        identifier = (name, *parameters.values())
        function = activations.get(identifier)
        expected = getattr(activations, name)(x, **parameters)
        np.testing.assert_array_equal(function(x), expected)
        assert activations.serialize(function) == identifier
        assert activations.get(function) is function
        again = activations.deserialize(list(identifier))
        np.testing.assert_array_equal(again(x), expected)
    assert activations.get(("elu", 1)) is activations.elu
    assert activations.get(None) is activations.linear
    doubled = activations.get(("affine", 2.0, 0.0))  # not Keras', and a layer knows it
    np.testing.assert_array_equal(doubled(x), 2 * x)
    assert activations.serialize("swish") == "silu"


def test_what_get_and_deserialize_refuse() -> None:
    with pytest.raises(ValueError, match="unknown activation 'tahn'"):
        activations.get("tahn")
    with pytest.raises(ValueError, match="unknown activation"):
        activations.get({"class_name": "LeakyReLU", "config": {"negative_slope": 0.1}})
    with pytest.raises(lr.UnsupportedError, match="custom_objects"):
        activations.deserialize("relu", custom_objects={"mine": np.tanh})
    for call in (activations.get, activations.serialize):
        with pytest.raises(lr.UnsupportedError, match=r"or a function of lstm_ref\.activations"):
            call(np.tanh)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (activations.relu, "relu"),
        (activations.swish, "silu"),
        (activations.mish, "mish"),
        (activations.get(("leaky_relu", 0.05)), ("leaky_relu", 0.05)),
    ],
    ids=["relu", "swish", "mish", "leaky_relu"],
)
def test_a_layer_takes_a_function_for_its_name(given: Any, name: Any) -> None:
    x = np.random.default_rng(1).normal(size=(2, 3, 4)).astype("float32")
    outputs = []
    for activation in (given, name):
        lr.set_seed(3)
        layers = [LSTM(5, activation=activation, recurrent_activation=activation)]
        layers += [Dense(5, activation=activation), Activation(activation)]
        outputs.append([layer(x) for layer in layers])
        held = [layer.get_config()["activation"] for layer in layers]
        held.append(layers[0].get_config()["recurrent_activation"])
        assert [spec.activation_id(identifier) for identifier in held] == [name] * 4
    for ours, by_name in zip(*outputs, strict=True):
        np.testing.assert_array_equal(ours, by_name)


def test_the_functional_core_takes_a_function_for_its_name() -> None:
    rng = np.random.default_rng(2)
    W, U, x = rng.normal(size=(3, 8)), rng.normal(size=(2, 8)), rng.normal(size=(1, 4, 3))
    hs = [
        lr.lstm_forward(x, lr.LSTMParams(W, U, None), lr.LSTMConfig(activation=act)).hs
        for act in (activations.softsign, "softsign")
    ]
    np.testing.assert_array_equal(*hs)


@pytest.mark.parametrize("layer", [LSTM, Dense])
def test_a_function_of_ones_own_is_refused(layer: Any) -> None:
    keras = require("keras")
    for function in (lambda z: z, np.tanh, keras.activations.relu, keras.layers.LeakyReLU()):
        with pytest.raises(lr.UnsupportedError, match=r"or a function of lstm_ref\.activations"):
            layer(4, activation=function)


def test_threshold_has_no_usual_parameters() -> None:
    with pytest.raises(ValueError, match="threshold takes 2 parameters"):
        LSTM(4, activation=activations.threshold)
    layer = Dense(4, activation=("threshold", 1, 0))
    assert list(layer.get_config()["activation"]) == ["threshold", 1.0, 0.0]
