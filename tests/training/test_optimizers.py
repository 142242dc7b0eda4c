"""The optimizers against Keras, step by step on the same gradients; every rule, every option."""

import numpy as np
import pytest

import lstm_ref as lr
from lstm_ref.layers import rounding
from lstm_ref.training.optimizers import OPTIMIZERS, adam, base, blocks, nadam, options, sgd
from tests.keras_peer import assert_close, keras_library, library_dtype
from tests.peers import require
from tests.training.optimizer_cases import (
    ONE_OF_EACH,
    OPTIONS,
    PAIRS,
    RULES,
    SHAPES,
    gradients,
    make,
    new_weights,
)

STEPS = 12


def ulps_for(rule, option):
    """Keras and we take the same roundings in the same order.

    What may differ is the order of the sum in a norm, which comes through a square root, and the
    powers in Adam and Nadam, where another C library than TensorFlow's may round otherwise.
    """
    powers = RULES[rule][0] in ("Adam", "AdamW", "Nadam")
    norm = {"clipnorm", "global_clipnorm"} & set(OPTIONS[option])
    return 4 if powers or norm else 0


def f32(constant):
    return float(np.float32(constant))


def compare_with_keras(rule, option, dtype, rng):
    """Twelve steps; weights and everything that is remembered, after every step."""
    keras, ulps = require("keras"), ulps_for(rule, option)
    with library_dtype(dtype):
        weights = new_weights(rng, dtype)
        variables = [
            keras.Variable(value, dtype=dtype, name=name.rpartition("/")[2])
            for name, value in weights.items()
        ]
        theirs = make(keras_library().optimizers, rule, option)
        ours = make(lr.optimizers, rule, option)
        for step, given in enumerate(gradients(rng, STEPS, dtype), start=1):
            theirs.apply(list(given.values()), variables)
            weights = ours.apply(weights, given)
            for name, variable in zip(SHAPES, variables, strict=True):
                what = f"{name} after step {step}"
                assert_close(weights[name], np.asarray(variable), ulps=ulps, what=what)
            remembered = [np.asarray(variable) for variable in theirs.variables]
            assert len(ours.variables) == len(remembered)
            for k, (got, expected) in enumerate(zip(ours.variables, remembered, strict=True)):
                if not k:  # the iterations, the one number that is whole
                    assert (got, got.dtype) == (expected, expected.dtype)
                    continue
                assert_close(got, expected, ulps=ulps, what=f"variable {k} after step {step}")
            assert ours.iterations == int(theirs.iterations)
            rate = float(theirs.learning_rate)  # of a function Keras gives what it has not rounded
            assert ours.learning_rate == (f32(rate) if option == "a function" else rate)
        theirs.finalize_variable_values(variables)
        weights = ours.finalized(weights)
        for name, variable in zip(SHAPES, variables, strict=True):
            assert_close(weights[name], np.asarray(variable), ulps=ulps, what=f"{name} at the end")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("rule", "option"), PAIRS)
def test_every_rule_and_option_equals_keras(rule, option, dtype, rng):
    compare_with_keras(rule, option, dtype, rng)


def test_every_optimizer_is_compared():
    assert {RULES[rule][0].lower() for rule in ONE_OF_EACH} == set(OPTIMIZERS)


# Without Keras: each rule once more, a number at a time, as its formula stands.


def sgd_by_hand(w, gradients, lr=0.1, μ=0.0, nesterov=False):
    m = 0.0
    for g in gradients:
        if not μ:
            w -= lr * g
            continue
        m = f32(μ) * m - lr * g
        w += f32(μ) * m - lr * g if nesterov else m
    return w


def adam_by_hand(w, gradients, lr=0.01, β1=0.9, β2=0.999, ε=1e-7, amsgrad=False, λ=0.0):
    m = v = largest = 0.0
    for t, g in enumerate(gradients, start=1):
        w -= w * f32(λ) * lr
        α = lr * (1 - f32(β2) ** t) ** 0.5 / (1 - f32(β1) ** t)
        m += (g - m) * (1 - β1)
        v += (g * g - v) * (1 - β2)
        largest = max(largest, v) if amsgrad else v
        w -= m * α / (largest**0.5 + ε)
    return w


def nadam_by_hand(w, gradients, lr=0.01, β1=0.9, β2=0.999, ε=1e-7):
    m, v, product, exact = 0.0, 0.0, 1.0, β1
    β1, β2 = f32(β1), f32(β2)
    for t, g in enumerate(gradients, start=1):
        product *= exact * (1 - 0.5 * 0.96**t)
        now, then = (β1 * (1 - 0.5 * f32(0.96) ** k) for k in (t, t + 1))
        m += (g - m) * (1 - β1)
        v += (g * g - v) * (1 - β2)
        ahead = then * m / (1 - product * then) + (1 - now) * g / (1 - product)
        w -= lr * ahead / ((v / (1 - β2**t)) ** 0.5 + ε)
    return w


def adagrad_by_hand(w, gradients, lr=0.1, start=0.1, ε=1e-7):
    a = f32(start)
    for g in gradients:
        a += g * g
        w -= lr * g / (a + ε) ** 0.5
    return w


def rmsprop_by_hand(w, gradients, lr=0.01, ρ=0.9, μ=0.0, ε=1e-7, centered=False):
    v = a = m = 0.0
    for g in gradients:
        v = ρ * v + (1 - ρ) * g * g
        a = ρ * a + (1 - ρ) * g if centered else 0.0
        m = μ * m + lr * g / (v - a * a + ε) ** 0.5
        w -= m
    return w


BY_HAND = {
    "sgd": (lr.optimizers.SGD(0.1), sgd_by_hand, {}),
    "momentum": (lr.optimizers.SGD(0.1, 0.9), sgd_by_hand, {"μ": 0.9}),
    "nesterov": (lr.optimizers.SGD(0.1, 0.9, True), sgd_by_hand, {"μ": 0.9, "nesterov": True}),
    "adam": (lr.optimizers.Adam(0.01), adam_by_hand, {}),
    "amsgrad": (
        lr.optimizers.Adam(0.01, beta_2=0.7, amsgrad=True),
        adam_by_hand,
        {"β2": 0.7, "amsgrad": True},
    ),
    "adamw": (lr.optimizers.AdamW(0.01), adam_by_hand, {"λ": 0.004}),
    "nadam": (lr.optimizers.Nadam(0.01), nadam_by_hand, {}),
    "adagrad": (lr.optimizers.Adagrad(0.1), adagrad_by_hand, {}),
    "rmsprop": (lr.optimizers.RMSprop(0.01), rmsprop_by_hand, {}),
    "rmsprop both": (
        lr.optimizers.RMSprop(0.01, momentum=0.5, centered=True),
        rmsprop_by_hand,
        {"μ": 0.5, "centered": True},
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_every_rule_is_its_formula(name, rng):
    """Five steps; ten roundings in each, relative to the weight."""
    optimizer, by_hand, constants = BY_HAND[name]
    optimizer = lr.optimizers.get(lr.optimizers.serialize(optimizer))
    optimizer.floatx = np.dtype("float64")  # the learning rate as it is, not in float32
    w, given = rng.normal(size=7), rng.normal(size=(5, 7))
    weights = {"w": w}
    for g in given:
        weights = optimizer.apply(weights, {"w": g})
    for k in range(7):
        expected = by_hand(float(w[k]), [float(g[k]) for g in given], **constants)
        assert weights["w"][k] == pytest.approx(expected, rel=50 * np.finfo(float).eps)


# Which constants are rounded to float32.


@pytest.mark.parametrize(
    ("module", "rule", "option"),
    [
        (sgd, "momentum", "no option"),
        (adam, "adam", "no option"),
        (nadam, "nadam", "no option"),
        (base, "sgd", "weight_decay"),
    ],
)
def test_without_the_rounding_to_float32_the_trajectories_would_part(
    module, rule, option, monkeypatch, rng
):
    """By 1e-8 or so, where the tests above allow 1e-15."""
    weights, given = new_weights(rng), list(gradients(rng, STEPS))

    def trajectory():
        trained, optimizer = weights, make(lr.optimizers, rule, option)
        for g in given:
            trained = optimizer.apply(trained, g)
        return np.concatenate([w.ravel() for w in trained.values()])

    rounded = trajectory()
    monkeypatch.setattr(module, "through_float32", lambda constant, dtype: dtype.type(constant))
    assert 1e-12 < np.abs(trajectory() - rounded).max() < 1e-5


def test_what_a_function_gives_is_rounded_to_float32(monkeypatch):
    for rate, expected in ((0.1, f32(0.1)), (np.float64(0.1), 0.1)):
        w = lr.optimizers.SGD(lambda rate=rate: rate).apply({"w": np.zeros(1)}, {"w": np.ones(1)})
        assert w["w"][0] == -expected
    assert isinstance(rounding.as_tensor(np.float64(0.1)), np.float64)
    monkeypatch.setattr(options, "as_tensor", np.float64)
    w = lr.optimizers.SGD(lambda: 0.1).apply({"w": np.zeros(1)}, {"w": np.ones(1)})
    assert w["w"][0] == -0.1


@pytest.mark.parametrize("floatx", ["float32", "float64"])
def test_a_learning_rate_is_rounded_to_floatx_as_of_the_constructor(floatx):
    with library_dtype(floatx):
        ours, theirs = lr.optimizers.SGD(0.1), keras_library().optimizers.SGD(0.1)
    assert ours.learning_rate == float(theirs.learning_rate) == float(np.dtype(floatx).type(0.1))
    assert ours.get_config()["learning_rate"] == 0.1
    w = ours.apply({"w": np.zeros(1)}, {"w": np.ones(1)})["w"]
    assert w[0] == -ours.learning_rate


# Large weights are updated in pieces.


@pytest.mark.parametrize("rule", RULES)
def test_pieces_give_the_same_bits(rule, monkeypatch, rng):
    shape = (7, 13)
    weights = {"w": rng.normal(size=shape)}
    given = [{"w": rng.normal(size=shape)} for _ in range(3)]
    given[1]["w"] = np.asfortranarray(given[1]["w"])

    def train(block):
        monkeypatch.setattr(blocks, "BLOCK", block)
        optimizer, trained = make(lr.optimizers, rule, "no option"), weights
        for g in given:
            trained = optimizer.apply(trained, g)
        return trained["w"], optimizer.state.arrays()

    whole, remembered = train(1000)
    for block in (1, 7, 90, 91):
        pieces, also = train(block)
        np.testing.assert_array_equal(pieces, whole)
        for place, array in remembered.items():
            np.testing.assert_array_equal(also[place], array)


# A model may have layers of both dtypes.


@pytest.mark.parametrize("option", ["no option", "global_clipnorm", "everything"])
@pytest.mark.parametrize("rule", RULES)
def test_weights_of_both_dtypes_keep_theirs(rule, option, rng):
    optimizer = make(lr.optimizers, rule, option)
    weights = {"a": rng.normal(size=3).astype("float32"), "b": rng.normal(size=(2, 2))}
    alone = make(lr.optimizers, rule, option)
    b = {"b": weights["b"]}
    for _ in range(4):
        given = {"a": np.full(3, 1e-3, "float32"), "b": rng.normal(size=(2, 2))}
        weights, b = optimizer.apply(weights, given), alone.apply(b, {"b": given["b"]})
        assert (weights["a"].dtype, weights["b"].dtype) == ("float32", "float64")
        for name, slots in optimizer.state.slots.items():
            assert all(array.dtype == weights[name].dtype for array in slots.values())
    if option == "no option":  # Nadam's U is kept in the dtype of the first weight, as in Keras
        bound = 1e-5 if RULES[rule][0] == "Nadam" else 0
        np.testing.assert_allclose(weights["b"], b["b"], rtol=bound, atol=0)
