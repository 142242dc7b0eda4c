"""Learning-rate schedules beside Keras, to the last bit: at the start, at borders, past the end."""

import json
import math
import re

import numpy as np
import pytest

import lstm_ref as lr
from lstm_ref.errors import ModelFormatError, UnsupportedError
from lstm_ref.optimizers import schedules
from lstm_ref.training.schedules import SCHEDULES, cosine
from tests.keras_peer import keras_library
from tests.peers import require

SETTINGS = {
    "exponential": ("ExponentialDecay", (0.1, 7, 0.9)),
    "exponential stairs": ("ExponentialDecay", (0.037, 7, 0.93, True)),
    "exponential growth": ("ExponentialDecay", (1e-4, 2.5, 1.02)),
    "piecewise": ("PiecewiseConstantDecay", ([3, 5, 90], [0.1, 0.3, 0.7, 0.01])),
    "piecewise one": ("PiecewiseConstantDecay", ([0], [0.1, 0.3])),
    "piecewise fractions": ("PiecewiseConstantDecay", ([3.7, 5.2], [0.1, 0.3, 0.7])),
    "polynomial": ("PolynomialDecay", (0.1, 13)),
    "polynomial root": ("PolynomialDecay", (0.1, 70, 0.013, 0.5)),
    "polynomial square": ("PolynomialDecay", (0.1, 70, 0.001, 2.0)),
    "polynomial cycle": ("PolynomialDecay", (0.1, 13, 0.001, 0.7, True)),
    "inverse time": ("InverseTimeDecay", (0.1, 7, 0.3)),
    "inverse time stairs": ("InverseTimeDecay", (0.1, 7, 0.3, True)),
    "cosine": ("CosineDecay", (0.1, 97)),
    "cosine alpha": ("CosineDecay", (0.1, 97, 0.03)),
    "cosine warm-up": ("CosineDecay", (0.01, 57, 0.03, "named", 0.3, 15)),
    "cosine from 0": ("CosineDecay", (0.0, 57, 0.03, "named", 0.3, 15)),
    "cosine of no warm-up": ("CosineDecay", (0.2, 57, 0.0, "named", 0.3, 0)),
    "restarts": ("CosineDecayRestarts", (0.1, 7)),
    "restarts lower": ("CosineDecayRestarts", (0.1, 7, 2.0, 0.9, 0.03)),
    "restarts of one length": ("CosineDecayRestarts", (0.1, 7, 1.0, 0.9, 0.03)),
    "restarts by 3": ("CosineDecayRestarts", (0.1, 10, 3.0, 0.8)),
    "restarts by 1.5": ("CosineDecayRestarts", (0.1, 7, 1.5, 0.8)),
}
STEPS = (*range(230), 499, 500, 501, 999, 1000, 1001, 10**6, 2**24 + 1, 10**9)


def both(name, arguments):
    theirs = getattr(keras_library().optimizers.schedules, name)(*arguments)
    return theirs, getattr(schedules, name)(*arguments)


def equal_bits(got, expected):
    expected = np.asarray(expected)[()]
    assert got.dtype == expected.dtype
    return got == expected or (np.isnan(got) and np.isnan(expected))


pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered", "ignore:divide by zero")


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_schedule_equals_keras(setting):
    keras = require("keras")
    theirs, ours = both(*SETTINGS[setting])
    for step in STEPS:
        expected = theirs(keras.Variable(step, dtype="int64"))
        assert equal_bits(ours(step), expected), f"step {step}: {ours(step)}, not {expected}"


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_numpy_float64_is_computed_with_in_float64(setting):
    keras = require("keras")
    name, (first, *rest) = SETTINGS[setting]
    if name == "PiecewiseConstantDecay":
        first, rest = first, [[np.float64(v) for v in rest[0]]]
    else:
        first = np.float64(first)
    theirs, ours = both(name, (first, *rest))
    assert theirs(0).dtype == "float64"
    for step in STEPS:
        expected = theirs(keras.Variable(step, dtype="int64"))
        assert equal_bits(ours(step), expected), f"step {step}: {ours(step)}, not {expected}"


def test_every_schedule_is_compared():
    names = {kind.__name__ for kind in SCHEDULES.values()}
    assert {name for name, _ in SETTINGS.values()} == names
    assert all(getattr(schedules, name) is SCHEDULES[name] for name in names)


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_step_may_be_any_number(setting):
    keras = require("keras")
    theirs, ours = both(*SETTINGS[setting])
    for step in (0, 3, 5, 90):
        for same in (np.int64(step), np.asarray(step), np.int32(step)):
            assert ours(same) == ours(step)
    for step in (-1.0, 3.5, 5.1, 6.999, 200.25):
        if step < 0 and setting == "cosine of no warm-up":
            continue  # 0 of -1 steps of it
        expected = theirs(keras.Variable(step, dtype="float32"))
        assert equal_bits(ours(step), expected), step


# Without Keras: values that can be seen from the definition.


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        (schedules.ExponentialDecay(1.0, 2, 0.25), {0: 1, 1: 0.5, 2: 0.25, 4: 1 / 16}),
        (schedules.ExponentialDecay(1.0, 2, 0.25, staircase=True), {0: 1, 1: 1, 2: 0.25, 3: 0.25}),
        (schedules.InverseTimeDecay(1.0, 2, 3.0), {0: 1, 1: 0.4, 2: 0.25, 4: 1 / 7}),
        (schedules.InverseTimeDecay(1.0, 2, 3.0, staircase=True), {1: 1, 2: 0.25, 3: 0.25}),
        (schedules.PolynomialDecay(1.0, 4, 0.2, 2.0), {0: 1, 2: 0.4, 4: 0.2, 9: 0.2}),
        (
            schedules.PolynomialDecay(1.0, 4, 0.2, cycle=True),
            {0: 1, 2: 0.6, 4: 0.2, 5: 0.5, 8: 0.2, 9: 0.4, 12: 0.2},
        ),
        (
            schedules.PiecewiseConstantDecay([2, 4], [1.0, 0.5, 0.25]),
            {0: 1, 2: 1, 3: 0.5, 4: 0.5, 5: 0.25, 99: 0.25},
        ),
        (schedules.CosineDecay(1.0, 4, 0.2), {0: 1, 2: 0.6, 4: 0.2, 9: 0.2}),
        (
            schedules.CosineDecay(0.2, 4, 0.0, warmup_target=1.0, warmup_steps=4),
            {0: 0.2, 2: 0.6, 3: 0.8, 4: 1, 6: 0.5, 8: 0, 99: 0},
        ),
        (
            schedules.CosineDecayRestarts(1.0, 4, 2.0, 0.5),
            {0: 1, 2: 0.5, 4: 0.5, 8: 0.25, 12: 0.25, 20: 0.125, 28: 0.125},
        ),
        (schedules.CosineDecayRestarts(1.0, 4, 1.0), {0: 1, 2: 0.5, 4: 1, 6: 0.5, 8: 1}),
    ],
)
def test_values_by_hand(schedule, values):
    for step, expected in values.items():
        assert schedule(step) == pytest.approx(expected, rel=1e-6, abs=1e-7), step


def test_the_cosine_is_the_one_of_the_c_library():
    """Rounded from float64 it would differ now and then, and NumPy's own of float32 often."""
    angles = np.linspace(0, math.pi, 3001, dtype="float32")
    ours = np.array([cosine(angle) for angle in angles])
    assert ours.dtype == "float32"
    assert np.abs(ours - np.cos(angles.astype("float64"))).max() <= 2**-24
    tensorflow = require("tensorflow")
    theirs = [float(tensorflow.cos(tensorflow.constant(angle))) for angle in angles]
    np.testing.assert_array_equal(ours, np.array(theirs, "float32"))


# Configs.


@pytest.mark.parametrize("setting", SETTINGS)
def test_configs_round_trip_and_are_those_of_keras(setting):
    theirs, ours = both(*SETTINGS[setting])
    config = ours.get_config()
    assert config == theirs.get_config()
    written = json.loads(json.dumps(schedules.serialize(ours)))
    assert written == keras_library().optimizers.schedules.serialize(theirs)
    back = keras_library().optimizers.schedules.deserialize(json.loads(json.dumps(written)))
    assert back.get_config() == config
    short = {"class_name": written["class_name"], "config": config}
    for again in (
        schedules.deserialize(written),
        schedules.deserialize(short),
        type(ours).from_config(config),
    ):
        assert type(again) is type(ours)
        assert again.get_config() == config
        assert [again(step) for step in STEPS] == [ours(step) for step in STEPS]


def test_numbers_of_numpy_become_numbers():
    config = schedules.ExponentialDecay(np.float32(0.5), np.int64(3), np.float32(0.25)).get_config()
    assert [type(config[n]) for n in ("initial_learning_rate", "decay_steps")] == [float, int]
    json.dumps(config)
    assert schedules.PiecewiseConstantDecay(np.arange(1, 3), (1, 2, 3)).get_config() == {
        "boundaries": [1, 2], "values": [1, 2, 3], "name": "PiecewiseConstant",
    }  # fmt: skip


def test_whole_numbers_are_learning_rates_like_others():
    """Keras computes with them as with whole numbers, and what comes out is 0 before long."""
    for name, rest in (("ExponentialDecay", (10, 0.5)), ("InverseTimeDecay", (10, 0.5))):
        kind = getattr(schedules, name)
        assert kind(1, *rest)(3) == kind(1.0, *rest)(3)
    assert schedules.PiecewiseConstantDecay([1], [1, 0.5])(2) == 0.5


# One's own, and refusals.


def test_a_schedule_of_ones_own_says_what_it_is():
    class Nothing(schedules.LearningRateSchedule):
        pass

    with pytest.raises(NotImplementedError, match=re.escape("Nothing does not say what the learn")):
        Nothing()(0)
    with pytest.raises(NotImplementedError, match=re.escape("write get_config()")):
        Nothing().get_config()
    with pytest.raises(UnsupportedError, match="Nothing cannot be written into a config"):
        schedules.serialize(Nothing())


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (
            lambda: schedules.ExponentialDecay(0.1, 0, 0.9),
            ValueError,
            "ExponentialDecay(decay_steps=0): a number above 0 is needed",
        ),
        (lambda: schedules.InverseTimeDecay(0.1, -1, 0.9), ValueError, "(decay_steps=-1): a numb"),
        (lambda: schedules.PolynomialDecay(0.1, float("nan")), ValueError, "decay_steps=nan): a n"),
        (lambda: schedules.CosineDecay(0.1, None), ValueError, "CosineDecay(decay_steps=None): a"),
        (lambda: schedules.CosineDecay("0.1", 3), ValueError, "(initial_learning_rate='0.1'): a"),
        (lambda: schedules.CosineDecay(0.1, 3, warmup_steps=-1), ValueError, "0 or more"),
        (lambda: schedules.CosineDecay(0.1, 3, warmup_target="a"), ValueError, "warmup_target='a'"),
        (lambda: schedules.CosineDecayRestarts(0.1, 0), ValueError, "(first_decay_steps=0): a num"),
        (lambda: schedules.CosineDecayRestarts(0.1, 3, 0.5), ValueError, "shorter and shorter wav"),
        (
            lambda: schedules.PiecewiseConstantDecay([1, 2], [0.1, 0.2]),
            ValueError,
            "got 2 boundaries and 2 values: 1 boundary or more and one value more than",
        ),
        (lambda: schedules.PiecewiseConstantDecay([], [0.1]), ValueError, "got 0 boundaries"),
        (
            lambda: schedules.PiecewiseConstantDecay([5, 2], [0.1, 0.2, 0.3]),
            ValueError,
            "PiecewiseConstantDecay(boundaries=[5, 2]): they must grow",
        ),
        (lambda: schedules.deserialize("cosine"), UnsupportedError, "its class name and its conf"),
        (lambda: schedules.deserialize({"class_name": "Mine"}), ValueError, "there is no learning"),
        (
            lambda: schedules.deserialize({"class_name": "CosineDecay", "config": {"rate": 1}}),
            ModelFormatError,
            "CosineDecay cannot have the config {'rate': 1}",
        ),
    ],
)
def test_arguments_that_make_no_sense(make, error, sentence):
    with pytest.raises(error, match=re.escape(sentence)):
        make()


def test_the_import_paths():
    assert lr.optimizers.schedules is schedules
