"""What an optimizer remembers: nothing changes on the way, and a resumed training is the same."""

import json
import re

import numpy as np
import pytest

import lstm_ref as lr
from lstm_ref.errors import ModelFormatError, ShapeError
from lstm_ref.optimizers import SGD, Adam, Nadam, RMSprop
from tests.keras_peer import keras_library, library_dtype
from tests.peers import require
from tests.training.optimizer_cases import (
    ONE_OF_EACH,
    PAIRS,
    RULES,
    SHAPES,
    gradients,
    make,
    new_weights,
)

STEPS = 7


def assert_same_bits(got, expected):
    assert list(got) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(got[name], array, err_msg=name)
        assert got[name].dtype == array.dtype


@pytest.mark.parametrize(("rule", "option"), PAIRS)
def test_a_proposal_changes_nothing(rule, option, rng):
    optimizer = make(lr.optimizers, rule, option)
    weights = new_weights(rng)
    for given in gradients(rng, STEPS):
        state = optimizer.state
        kept = {place: array.copy() for place, array in state.arrays().items()}
        of_weights, of_gradients = ({n: a.copy() for n, a in d.items()} for d in (weights, given))
        numbers = optimizer.state_numbers()

        first, second = (optimizer.propose(weights, given) for _ in range(2))

        assert optimizer.state is state
        assert optimizer.state_numbers() == numbers
        assert_same_bits(state.arrays(), kept)
        assert_same_bits(weights, of_weights)
        assert_same_bits(given, of_gradients)
        assert_same_bits(second.weights, first.weights)
        assert_same_bits(second.state.arrays(), first.state.arrays())

        optimizer.accept(first)
        assert optimizer.state is first.state
        assert optimizer.state.iterations == state.iterations + 1
        weights = first.weights
        assert_same_bits(state.arrays(), kept)


def test_apply_is_propose_and_accept(rng):
    one, two, weights = Adam(), Adam(), new_weights(rng)
    for given in gradients(rng, 3):
        step = one.propose(weights, given)
        one.accept(step)
        weights_of_two = two.apply(weights, given)
        assert_same_bits(weights_of_two, step.weights)
        weights = step.weights
    assert_same_bits(two.state_arrays(), one.state_arrays())
    assert two.state_numbers() == one.state_numbers()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("rule", "option"), PAIRS)
def test_a_resumed_training_is_the_same_to_the_last_bit(rule, option, dtype, rng):
    """Stopped after every number of steps: with accumulation, half-way through as well."""
    weights, given = new_weights(rng, dtype), list(gradients(rng, STEPS, dtype))
    whole = make(lr.optimizers, rule, option)
    for stop, g in enumerate(given):
        saved = {n: a.copy() for n, a in whole.state_arrays().items()}
        numbers = json.loads(json.dumps(whole.state_numbers()))
        resumed = make(lr.optimizers, rule, option)
        resumed.restore_state(saved, numbers)
        for array in saved.values():
            array.fill(np.nan)  # it has copies of its own
        then = weights
        for later in given[stop:]:
            then = resumed.apply(then, later)
        if not stop:
            expected, remembered = then, resumed.state_arrays()
            count = resumed.state_numbers()
        assert_same_bits(then, expected)
        assert_same_bits({n: resumed.state_arrays()[n] for n in remembered}, remembered)
        assert resumed.state_numbers() == count
        assert_same_bits(resumed.finalized(then), resumed.finalized(expected))
        weights = whole.apply(weights, g)
    assert_same_bits(weights, expected)


@pytest.mark.parametrize("option", ["no option", "everything"])
@pytest.mark.parametrize("rule", RULES)
def test_a_state_is_arrays_of_floats_and_plain_numbers(rule, option, rng):
    optimizer, weights = make(lr.optimizers, rule, option), new_weights(rng, "float32")
    for given in gradients(rng, 2, "float32"):
        weights = optimizer.apply(weights, given)
    for place, array in optimizer.state_arrays().items():
        kind, _, name = place.partition("/")
        assert (array.shape, array.dtype) == (SHAPES[name], "float32")
        assert kind in optimizer.state.arrays_of(name)
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    numbers = optimizer.state_numbers()
    assert numbers["iterations"] == 2
    assert ("learning_rate" in numbers) == (option == "no option")
    assert {type(value) for value in numbers.values()} <= {int, float}


def test_the_learning_rate_is_resumed_too():
    optimizer = SGD(0.1, momentum=0.5)
    optimizer.learning_rate = 0.025
    again = SGD(0.1, momentum=0.5)
    again.restore_state(optimizer.state_arrays(), optimizer.state_numbers())
    assert again.learning_rate == optimizer.learning_rate
    assert again.get_config()["learning_rate"] == 0.025


def trained(kind=Adam, **settings):
    optimizer = kind(**settings)
    optimizer.apply({"a/w": np.ones(2), "b": np.ones(3)}, {"a/w": np.ones(2), "b": np.ones(3)})
    return optimizer


def without(arrays, place):
    return {p: a for p, a in arrays.items() if p != place}


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        (
            lambda a, n: (without(a, "velocity/b"), n),
            ModelFormatError,
            "lacks velocity/b: it was saved by another kind of optimizer",
        ),
        (
            lambda a, n: ({**a, "velocity_hat/b": a["velocity/b"]}, n),
            ModelFormatError,
            "has 'velocity_hat/b', and this optimizer remembers momentum/..., velocity/...",
        ),
        (lambda a, n: ({**a, "momentum": a["velocity/b"]}, n), ModelFormatError, "has 'momentum'"),
        (
            lambda a, n: ({**a, "momentum/b": np.zeros(3, int)}, n),
            ModelFormatError,
            "'momentum/b' as int64, and an array of float32 or float64 is needed",
        ),
        (
            lambda a, n: ({**a, "momentum/b": [0, 0, 0]}, n),
            ModelFormatError,
            "as <class 'list'>, and an",
        ),
        (
            lambda a, n: ({**a, "momentum/b": np.zeros(4)}, n),
            ShapeError,
            "arrays of different shapes for b: (3,) and (4,)",
        ),
        (
            lambda a, n: ({**a, "momentum/b": np.zeros(4), "velocity/b": np.zeros(4)}, n),
            ShapeError,
            "has momentum/b of shape (4,), and the weight has (3,)",
        ),
        (
            lambda a, n: (a, {"iterations": 1}),
            ModelFormatError,
            "has the numbers iterations, and this Adam has iterations, learning_rate",
        ),
        (lambda a, n: (a, {**n, "u_product": 1.0}), ModelFormatError, "numbers iterations, learn"),
        (lambda a, n: (a, {**n, "iterations": 1.0}), ModelFormatError, "has iterations=1.0"),
        (lambda a, n: (a, {**n, "iterations": True}), ModelFormatError, "has iterations=True"),
        (lambda a, n: (a, {**n, "iterations": -1}), ModelFormatError, "cannot have made -1 steps"),
        (lambda a, n: (a, {**n, "learning_rate": "1"}), ModelFormatError, "has learning_rate='1'"),
    ],
)
def test_a_state_that_does_not_fit(change, error, sentence):
    optimizer = trained()
    before, learning_rate = optimizer.state, optimizer.learning_rate
    with pytest.raises(error, match=re.escape(sentence)):
        optimizer.restore_state(*change(optimizer.state_arrays(), optimizer.state_numbers()))
    assert optimizer.state is before
    assert optimizer.learning_rate == learning_rate


@pytest.mark.parametrize(
    ("saved", "restored"),
    [
        (trained(SGD, momentum=0.5), SGD()),
        (trained(SGD), Nadam()),
        (trained(Adam), Adam(amsgrad=True)),
        (trained(Adam, use_ema=True), Adam()),
        (trained(Adam), Adam(use_ema=True)),
        (trained(Adam, gradient_accumulation_steps=2), Adam()),
        (trained(RMSprop), RMSprop(centered=True)),
        (trained(Adam), Adam(lr.optimizers.schedules.CosineDecay(0.1, 3))),
        (trained(Adam, learning_rate=lr.optimizers.schedules.CosineDecay(0.1, 3)), Adam()),
    ],
)
def test_the_state_of_another_kind_or_with_other_options(saved, restored):
    with pytest.raises(ModelFormatError, match="it was saved by another kind of optimizer, or wi"):
        restored.restore_state(saved.state_arrays(), saved.state_numbers())
    assert restored.iterations == 0


def test_a_restored_state_of_another_model_shows_at_the_next_step():
    again = Adam()
    again.restore_state(trained().state_arrays(), trained().state_numbers())
    with pytest.raises(ShapeError, match="has trained another model's a/w"):
        again.apply({"a/w": np.ones(5)}, {"a/w": np.ones(5)})


# As Keras counts and orders it.


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("option", ["no option", "ema", "accumulation", "a schedule", "everything"])
@pytest.mark.parametrize("rule", ONE_OF_EACH)
def test_the_size_and_the_order_are_those_of_keras(rule, option, dtype, rng):
    keras = require("keras")
    with library_dtype(dtype):
        theirs, ours = (make(o, rule, option) for o in (keras_library().optimizers, lr.optimizers))
        weights = new_weights(rng, dtype)
        variables = [keras.Variable(w, dtype=dtype) for w in weights.values()]
        given = next(gradients(rng, 1, dtype))
        assert not ours.built
        assert [v.shape for v in ours.variables][:2] == [v.shape for v in theirs.variables][:2]
        theirs.apply(list(given.values()), variables)
        ours.apply(weights, given)
    assert ours.built
    counted = [np.asarray(v) for v in theirs.variables]
    assert ours.size(dtype) == (sum(v.size for v in counted), sum(v.nbytes for v in counted))
    for got, expected in zip(ours.variables, counted, strict=True):
        assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_variables_of_keras_can_be_put_in(rng):
    """What a Keras file holds of an optimizer, in Keras' order, is gone on with."""
    keras = require("keras")
    with library_dtype("float64"):
        for rule, option in (
            ("amsgrad", "everything"),
            ("nadam", "no option"),
            ("rmsprop both", "ema"),
        ):
            theirs, ours = (
                make(o, rule, option) for o in (keras_library().optimizers, lr.optimizers)
            )
            weights, given = new_weights(rng), list(gradients(rng, 6))
            variables = [keras.Variable(w) for w in weights.values()]
            for g in given[:4]:
                theirs.apply(list(g.values()), variables)
            weights = dict(zip(SHAPES, map(np.asarray, variables), strict=True))
            ours.build(weights)
            ours.set_weights([np.asarray(v) for v in theirs.variables])
            for g in given[4:]:
                theirs.apply(list(g.values()), variables)
                weights = ours.apply(weights, g)
            for got, expected in zip(weights.values(), variables, strict=True):
                np.testing.assert_allclose(got, np.asarray(expected), rtol=1e-13)


def test_variables_that_do_not_fit():
    optimizer = trained()
    with pytest.raises(ValueError, match="set_weights on a Adam that does not know its weights"):
        Adam().set_weights(optimizer.variables)
    with pytest.raises(ValueError, match="3 arrays came for a Adam that has 6: iterations, learn"):
        optimizer.set_weights(optimizer.variables[:3])
    with pytest.raises(ShapeError):
        optimizer.set_weights([*optimizer.variables[:5], np.zeros(9)])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("option", ["no option", "a schedule", "everything"])
@pytest.mark.parametrize("rule", ["momentum", "amsgrad", "nadam", "rmsprop both"])
def test_the_summary_counts_as_keras(rule, option, dtype, rng):
    lines = []
    with library_dtype(dtype):
        for library, optimizers in (
            (keras_library(), keras_library().optimizers),
            (lr, lr.optimizers),
        ):
            layers = library.layers
            model = library.models.Sequential(
                [layers.Input((4, 2)), layers.LSTM(3), layers.Dense(1)]
            )
            model.compile(make(optimizers, rule, option), "mse")
            model.fit(rng.normal(size=(2, 4, 2)), rng.normal(size=(2, 1)), verbose=0)
            text = []
            model.summary(print_fn=lambda s, text=text, **_: text.append(s))
            (line,) = [line for line in "\n".join(text).splitlines() if "Optimizer" in line]
            lines.append(line.strip())
    assert lines[0] == lines[1]
