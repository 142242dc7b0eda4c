"""The optimizers against Keras, step by step on the same gradients; names, configs, refusals."""

import re

import numpy as np
import pytest

from lstm_ref.errors import ShapeError, UnsupportedError
from lstm_ref.optimizers import SGD, Adam, Optimizer, RMSprop, get, serialize
from lstm_ref.training import optimizers
from tests.keras_peer import assert_close, keras_library, library_dtype
from tests.peers import require

SETTINGS = {
    "sgd": ("SGD", {}),
    "sgd lr": ("SGD", {"learning_rate": 0.3}),
    "momentum": ("SGD", {"momentum": 0.9}),
    "nesterov": ("SGD", {"momentum": 0.7, "nesterov": True}),
    "adam": ("Adam", {}),
    "adam betas": ("Adam", {"learning_rate": 0.02, "beta_1": 0.7, "beta_2": 0.95, "epsilon": 1e-3}),
    "rmsprop": ("RMSprop", {}),
    "rmsprop rho": ("RMSprop", {"learning_rate": 0.02, "rho": 0.7, "epsilon": 1e-4}),
    "rmsprop momentum": ("RMSprop", {"momentum": 0.8}),
    "rmsprop centered": ("RMSprop", {"centered": True}),
    "rmsprop both": ("RMSprop", {"momentum": 0.5, "centered": True, "rho": 0.95}),
}
# Ten steps. Keras' and our SGD and RMSprop take the same roundings in the same order; Adam's
# bias correction is a power and a root, which two libraries round their own way.
ULPS = {"SGD": 0, "RMSprop": 1, "Adam": 4}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_ten_steps_equal_keras(setting, dtype, rng):
    keras = require("keras")
    name, arguments = SETTINGS[setting]
    shapes = {"a": (3, 4), "b": (4,)}
    with library_dtype(dtype):
        weights = {key: rng.normal(size=shape).astype(dtype) for key, shape in shapes.items()}
        variables = [keras.Variable(value, dtype=dtype) for value in weights.values()]
        theirs = getattr(keras_library().optimizers, name)(**arguments)
        ours = {"SGD": SGD, "Adam": Adam, "RMSprop": RMSprop}[name](**arguments)
        for step in range(10):
            scale = 10.0 ** rng.integers(-3, 2)
            gradients = {k: (scale * rng.normal(size=s)).astype(dtype) for k, s in shapes.items()}
            theirs.apply(list(gradients.values()), variables)
            weights = ours.apply(weights, gradients)
            for key, variable in zip(shapes, variables, strict=True):
                got, expected = weights[key], np.asarray(variable)
                assert_close(got, expected, ulps=ULPS[name], what=f"{key} after step {step + 1}")
    assert ours.iterations == 10


@pytest.mark.parametrize("make", [lambda: SGD(momentum=0.9), Adam])
def test_without_the_rounding_through_float32_the_trajectories_would_part(make, monkeypatch, rng):
    """By 1e-8 or so, where the test above allows 1e-15."""
    w, gradients = rng.normal(size=50), rng.normal(size=(5, 50))

    def trajectory() -> np.ndarray:
        weights, optimizer = {"w": w}, make()
        for g in gradients:
            weights = optimizer.apply(weights, {"w": g})
        return weights["w"]

    rounded = trajectory()
    monkeypatch.setattr(optimizers, "through_float32", lambda constant, dtype: dtype.type(constant))
    assert 1e-11 < np.abs(trajectory() - rounded).max() < 1e-6


def test_a_step_leaves_its_arrays_alone(rng):
    w, g = rng.normal(size=4), rng.normal(size=4)
    kept = w.copy(), g.copy()
    optimizer = Adam()
    optimizer.apply({"w": w}, {"w": g})
    before = {slot: value.copy() for slot, value in optimizer.slots["w"].items()}
    arrays = optimizer.slots["w"]
    optimizer.apply({"w": w}, {"w": g})
    np.testing.assert_array_equal(w, kept[0])
    np.testing.assert_array_equal(g, kept[1])
    for slot, value in before.items():
        np.testing.assert_array_equal(arrays[slot], value)


def test_the_learning_rate_can_change_between_steps():
    optimizer = SGD(0.1)
    w = optimizer.apply({"w": np.zeros(1)}, {"w": np.ones(1)})
    optimizer.learning_rate = 0.5
    w = optimizer.apply(w, {"w": np.ones(1)})
    assert w["w"][0] == pytest.approx(-0.6)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("sgd", SGD),
        ("SGD", SGD),
        ("adam", Adam),
        ("Adam", Adam),
        ("rmsprop", RMSprop),
        ("RMSprop", RMSprop),
        ("RMSPROP", RMSprop),
    ],
)
def test_names_are_found_as_in_keras(name, kind):
    assert type(get(name)) is kind
    assert type(keras_library().optimizers.get(name)).__name__ == kind.__name__


@pytest.mark.parametrize("optimizer", [SGD(0.1, 0.5, True), Adam(0.2, 0.8), RMSprop(0.3, 0.8, 0.1)])
def test_configs_round_trip_and_are_those_of_keras(optimizer):
    config = optimizer.get_config()
    again = get(serialize(optimizer))
    assert type(again) is type(optimizer)
    assert again.get_config() == config
    theirs = getattr(keras_library().optimizers, type(optimizer).__name__).from_config(config)
    keras_config = theirs.get_config()
    for key, value in config.items():
        assert keras_config[key] == pytest.approx(value), key
    # Keras' config, with its other keys at their defaults, makes the same optimizer.
    for key, value in type(optimizer).from_config(keras_config).get_config().items():
        assert value == pytest.approx(config[key]), key


def test_names_count_up_as_in_keras():
    assert [SGD().name, SGD().name, Adam().name] == ["sgd", "sgd_1", "adam"]
    assert Adam(name="mine").name == "mine"


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: SGD(clipnorm=1.0), "SGD(clipnorm=1.0) is not supported yet"),
        (lambda: Adam(weight_decay=0.01), "Adam(weight_decay=0.01) is not supported yet"),
        (lambda: Adam(amsgrad=True), "Adam(amsgrad=True) is not supported yet"),
        (lambda: RMSprop(use_ema=True), "RMSprop(use_ema=True) is not supported yet"),
        (lambda: SGD(lr=0.1), "SGD(lr=...): there is no such argument: it is called learning_rate"),
        (lambda: SGD(nestrov=True), "SGD(nestrov=...): there is no such argument"),
        (lambda: Adam(lambda step: 0.1), "a number is needed (schedules are not supported yet)"),
        (lambda: get("adamw"), "optimizer='adamw' is not supported: 'sgd', 'adam' and 'rmsprop'"),
        (lambda: get(Adam), "is not supported: 'sgd'"),
    ],
)
def test_what_is_not_there_is_refused_by_name(make, sentence):
    with pytest.raises(UnsupportedError, match=re.escape(sentence)):
        make()


def test_keras_arguments_at_their_defaults_are_taken():
    assert isinstance(Adam(clipnorm=None, use_ema=False, ema_momentum=0.99), Optimizer)


def test_momentum_is_a_part():
    with pytest.raises(ValueError, match=re.escape("SGD(momentum=1.5): a number from 0 to 1")):
        SGD(momentum=1.5)


def test_an_optimizer_belongs_to_one_model():
    optimizer = Adam()
    optimizer.apply({"dense/kernel": np.zeros((2, 3))}, {"dense/kernel": np.ones((2, 3))})
    with pytest.raises(ShapeError, match="has trained another model's dense/kernel"):
        optimizer.apply({"dense/kernel": np.zeros((4, 3))}, {"dense/kernel": np.ones((4, 3))})
