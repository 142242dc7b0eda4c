"""What optimizers have in common: options, learning rates, names, configs, refusals."""

import copy
import json
import re

import numpy as np
import pytest

import lstm_ref as lr
from lstm_ref.errors import ModelFormatError, ShapeError, UnsupportedError
from lstm_ref.optimizers import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Nadam,
    Optimizer,
    RMSprop,
    deserialize,
    get,
    schedules,
    serialize,
)
from lstm_ref.training.optimizers import OPTIMIZERS, clipping
from tests.keras_peer import keras_library, library_dtype, twin_models
from tests.peers import require
from tests.training.optimizer_cases import PAIRS, RULES, make

ALL = [SGD, Adam, AdamW, Nadam, RMSprop, Adagrad]
W = {"w": np.array([1.0, -2.0])}
G = {"w": np.array([0.5, 0.25])}


# Clipping.


def test_clipnorm_is_of_each_weight_and_global_clipnorm_of_all():
    gradients = {"a": np.array([3.0, 4.0]), "b": np.array([[12.0]])}
    weights = {name: np.zeros_like(g) for name, g in gradients.items()}
    each = SGD(1.0, clipnorm=1).apply(weights, gradients)
    np.testing.assert_allclose(each["a"], [-0.6, -0.8], rtol=1e-15)
    np.testing.assert_allclose(each["b"], [[-1.0]], rtol=1e-15)
    together = SGD(1.0, global_clipnorm=1).apply(weights, gradients)
    np.testing.assert_allclose(together["a"], [-3 / 13, -4 / 13], rtol=1e-15)
    np.testing.assert_allclose(together["b"], [[-12 / 13]], rtol=1e-15)
    values = SGD(1.0, clipvalue=3.5).apply(weights, gradients)
    np.testing.assert_array_equal(values["a"], [-3.0, -3.5])


@pytest.mark.parametrize("option", ["clipnorm", "clipvalue", "global_clipnorm"])
def test_small_gradients_and_none_at_all_are_left_alone(option):
    for g in (np.array([1e-3, -2e-3]), np.zeros(2)):
        w = SGD(1.0, **{option: 0.5}).apply({"w": np.zeros(2)}, {"w": g})
        np.testing.assert_allclose(w["w"], -g, rtol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("option", ["clipnorm", "clipvalue", "global_clipnorm"])
def test_what_clipping_makes_of_gradients_that_are_not_finite(option, bad, dtype):
    """As Keras: a norm that is NaN spreads; of the global norm, one that is infinite, too."""
    keras = require("keras")
    given = [np.array([1.0, bad, 3.0], dtype), np.array([2.0], dtype)]
    with library_dtype(dtype):
        variables = [keras.Variable(np.zeros_like(g)) for g in given]
        keras_library().optimizers.SGD(1.0, **{option: 0.5}).apply(given, variables)
    by_name = {str(k): g for k, g in enumerate(given)}
    zeros = {name: np.zeros_like(g) for name, g in by_name.items()}
    weights = SGD(1.0, **{option: 0.5}).apply(zeros, by_name)
    for got, expected in zip(weights.values(), variables, strict=True):
        np.testing.assert_allclose(got, np.asarray(expected), rtol=1e-6)


def test_the_norm_of_a_large_gradient_does_not_lose_its_digits(rng):
    g = rng.normal(size=(300, 400)).astype("float32")
    exact = np.sum(g.astype("float64") ** 2)
    assert clipping.sum_of_squares(g) == pytest.approx(exact, rel=1e-6)
    assert clipping.sum_of_squares(g).dtype == "float32"


# Weight decay.


def test_weight_decay_comes_before_the_update_and_after_clipping():
    decay = float(np.float32(0.1))
    w = SGD(0.5, weight_decay=0.1, clipvalue=0.3).apply(W, G)["w"]
    np.testing.assert_allclose(w, W["w"] * (1 - decay * 0.5) - 0.5 * np.array([0.3, 0.25]))


@pytest.mark.parametrize("kind", ALL)
def test_weights_can_be_spared_from_weight_decay(kind):
    names = ("lstm/kernel", "lstm/recurrent_kernel", "lstm/bias", "bias_layer/kernel")
    weights = {name: np.full(2, 2.0) for name in names}
    zeros = {name: np.zeros(2) for name in names}

    def decayed(**spared):
        optimizer = kind(learning_rate=1.0, weight_decay=0.004)
        optimizer.exclude_from_weight_decay(**spared)
        new = optimizer.apply(weights, zeros)
        return [name for name in names if not np.array_equal(new[name], weights[name])]

    assert decayed() == list(names)
    assert decayed(var_names=["bias"]) == [*names[:2], names[3]]
    assert decayed(var_names=["^kernel"]) == [names[1], names[2]]
    assert decayed(var_names=["bias", "recurrent"]) == [names[0], names[3]]
    assert decayed(var_list=["lstm/kernel"], var_names=["bias"]) == [names[1], names[3]]


def test_spared_weights_equal_keras(rng):
    def build(lib):
        layers = [lib.layers.Input((4, 2)), lib.layers.LSTM(3), lib.layers.Dense(1)]
        return lib.models.Sequential(layers)

    with library_dtype("float64"):
        theirs, ours = twin_models(build, rng, (None, 4, 2))
        x, y = rng.normal(size=(6, 4, 2)), rng.normal(size=(6, 1))
        for model, library in ((theirs, keras_library().optimizers), (ours, lr.optimizers)):
            optimizer = library.AdamW(0.01, weight_decay=0.3)
            optimizer.exclude_from_weight_decay(var_names=["bias", "recurrent_kernel"])
            model.compile(optimizer, "mse")
            model.fit(x, y, epochs=3, batch_size=3, shuffle=False, verbose=0)
        for got, expected in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_allclose(got, expected, rtol=0, atol=1e-13)


def test_a_spared_weight_that_is_not_there_is_an_error():
    optimizer = AdamW()
    optimizer.exclude_from_weight_decay(var_list=["lstm/bais"])
    with pytest.raises(ValueError, match="names 'lstm/bais', and the weights that are trained are"):
        optimizer.apply({"lstm/bias": np.zeros(2)}, {"lstm/bias": np.ones(2)})
    with pytest.raises(UnsupportedError, match="takes the names of weights, as 'lstm/bias'"):
        optimizer.exclude_from_weight_decay(var_list=[np.zeros(2)])


# Accumulation and averages, whose agreement with Keras is tested with every rule.


def test_accumulated_gradients_are_applied_as_their_mean():
    optimizer = SGD(1.0, gradient_accumulation_steps=3)
    weights = {"w": np.array([1.0])}
    for number, g in enumerate((1.0, 2.0, 6.0), start=1):
        weights = optimizer.apply(weights, {"w": np.array([g])})
        assert optimizer.state.iterations == number
        assert weights["w"] == (-2.0 if number == 3 else 1.0)
    assert optimizer.iterations == 1
    assert optimizer.state.waiting["w"] == 0


def test_a_schedule_counts_steps_and_adam_counts_updates():
    rates = schedules.PiecewiseConstantDecay([0], [1.0, 0.5])
    optimizer = Adam(rates, gradient_accumulation_steps=2)
    w = {"w": np.zeros(1)}
    for _ in range(2):
        w = optimizer.apply(w, {"w": np.ones(1)})
    # Adam's first update is η whatever the gradient: t is 1, and the rate that of step 1.
    assert w["w"][0] == pytest.approx(-0.5, rel=1e-4)


def test_the_average_becomes_the_weight_at_the_end():
    optimizer = SGD(1.0, use_ema=True, ema_momentum=0.75)
    first = optimizer.apply(W, G)
    second = optimizer.apply(first, G)
    average = 0.75 * first["w"] + 0.25 * second["w"]
    final = optimizer.finalized(second)
    np.testing.assert_allclose(final["w"], average, rtol=1e-15)
    assert final["w"] is not optimizer.state.averages["w"]
    assert SGD().finalized(W) == W


def test_an_average_may_overwrite_the_weights_in_between():
    optimizer = SGD(1.0, use_ema=True, ema_momentum=0.75, ema_overwrite_frequency=2)
    first = optimizer.apply(W, G)["w"]
    second = optimizer.apply({"w": first}, G)["w"]
    np.testing.assert_allclose(second, 0.75 * first + 0.25 * (first - G["w"]), rtol=1e-15)


def test_fit_with_averages_equals_keras(rng):
    def build(lib):
        return lib.models.Sequential([lib.layers.Input((3,)), lib.layers.Dense(2)])

    with library_dtype("float64"):
        theirs, ours = twin_models(build, rng, (None, 3))
        x, y = rng.normal(size=(7, 3)), rng.normal(size=(7, 2))
        for model, library in ((theirs, keras_library().optimizers), (ours, lr.optimizers)):
            model.compile(make(library, "momentum", "ema"), "mse")
            model.fit(x, y, epochs=3, batch_size=3, shuffle=False, verbose=0)
        for got, expected in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_allclose(got, expected, rtol=0, atol=1e-14)


# Learning rates.


def test_the_learning_rate_can_change_between_steps():
    optimizer = SGD(0.1)
    w = optimizer.apply({"w": np.zeros(1)}, {"w": np.ones(1)})
    optimizer.learning_rate = 0.5
    w = optimizer.apply(w, {"w": np.ones(1)})
    assert w["w"][0] == pytest.approx(-0.6)
    optimizer.learning_rate = schedules.InverseTimeDecay(1.0, 1, 1.0)
    assert optimizer.learning_rate == np.float32(1) / 3  # of step 2, the third
    with pytest.raises(TypeError, match=r"is given by .*, so it cannot be set to 0\.1"):
        optimizer.learning_rate = 0.1
    optimizer.learning_rate = lambda: 0.25
    assert optimizer.learning_rate == 0.25
    with pytest.raises(TypeError, match="begin with a number to be able to change it"):
        optimizer.learning_rate = 0.1


def test_a_function_is_asked_once_a_step():
    rates = iter((0.5, 0.25, 0.125))
    optimizer = SGD(lambda: next(rates), weight_decay=0.0)
    weights = {"a": np.zeros(1), "b": np.zeros(1, "float32")}
    gradients = {"a": np.ones(1), "b": np.ones(1, "float32")}
    for expected in (-0.5, -0.75, -0.875):
        weights = optimizer.apply(weights, gradients)
        assert [w[0] for w in weights.values()] == [expected, expected]


def test_a_schedule_of_ones_own():
    class Alternating(schedules.LearningRateSchedule):
        def __call__(self, step):
            return 0.5 if step % 2 else 0.25

    optimizer = SGD(Alternating())
    w = {"w": np.zeros(1)}
    for expected in (-0.25, -0.75, -1.0):
        w = optimizer.apply(w, {"w": np.ones(1)})
        assert w["w"][0] == expected
    with pytest.raises(UnsupportedError, match="Alternating cannot be written into a config"):
        serialize(optimizer)


# Weights and gradients that do not fit.


def test_a_weight_without_gradient_stays_and_is_named():
    optimizer = Adam(0.5)
    weights = {"a": np.ones(2), "b": np.ones(3)}
    with pytest.warns(UserWarning, match="no gradient came for b: they stay as they are"):
        new = optimizer.apply(weights, {"a": np.ones(2), "b": None})
    assert new["b"] is weights["b"]
    assert not np.array_equal(new["a"], weights["a"])
    with pytest.warns(UserWarning, match="no gradient came for b"):
        optimizer.apply(weights, {"a": np.ones(2)})
    with pytest.raises(ValueError, match="no gradient came for any weight: a, b"):
        optimizer.apply(weights, {"a": None, "b": None})
    with pytest.raises(ValueError, match="a gradient came for 'c', and the weights are a, b"):
        optimizer.apply(weights, {"a": np.ones(2), "b": np.ones(3), "c": np.ones(1)})
    assert optimizer.iterations == 2


def test_no_weights_are_no_step():
    optimizer = Adam()
    assert optimizer.apply({}, {}) == {}
    assert optimizer.iterations == 0


def test_a_gradient_has_the_shape_of_its_weight_and_takes_its_dtype():
    with pytest.raises(
        ShapeError, match=re.escape("w has shape (2,), and its gradient has (2, 1)")
    ):
        SGD().apply(W, {"w": np.ones((2, 1))})
    w = {"w": np.zeros(2, "float32")}
    assert SGD().apply(w, {"w": np.ones(2)})["w"].dtype == "float32"


def test_an_optimizer_belongs_to_one_model():
    optimizer = Adam()
    optimizer.apply({"dense/kernel": np.zeros((2, 3))}, {"dense/kernel": np.ones((2, 3))})
    for shape, dtype in (((4, 3), "float64"), ((2, 3), "float32")):
        w = np.zeros(shape, dtype)
        with pytest.raises(ShapeError, match="has trained another model's dense/kernel, of shape"):
            optimizer.apply({"dense/kernel": w}, {"dense/kernel": w})


def test_weights_may_come_and_go():
    """As when layers are frozen and freed between two fits."""
    optimizer, other = Adam(), Adam()
    a, b = {"a": np.zeros(2)}, {"b": np.zeros(3)}
    g = {"a": np.ones(2), "b": np.arange(3.0)}
    optimizer.apply(a, {"a": g["a"]})
    optimizer.apply({**a, **b}, g)
    other.apply({**a, **b}, g)
    kept = optimizer.state.slots["b"]
    optimizer.apply(a, {"a": g["a"]})
    assert optimizer.state.slots["b"] is kept
    for slot, array in other.state.slots["b"].items():
        np.testing.assert_array_equal(kept[slot], array)


def test_what_diverges_does_so_in_silence():
    weights = {"w": np.full(2, 1e30, "float32")}
    for kind in ALL:
        with np.errstate(all="raise"):
            new = kind(learning_rate=1e30, global_clipnorm=1.0).apply(
                weights, {"w": np.array([np.inf, 0], "float32")}
            )
        assert not np.isfinite(new["w"]).all()


# Names and configs.


@pytest.mark.parametrize("kind", ALL)
def test_names_are_found_as_in_keras(kind):
    name = kind.__name__
    for spelling in (name, name.lower(), name.upper()):
        assert type(get(spelling)) is kind
        assert type(keras_library().optimizers.get(spelling)).__name__ == name
        assert type(deserialize({"class_name": spelling, "config": {}})) is kind
    assert get(None) is None


def test_names_count_up_as_in_keras():
    assert [SGD().name, SGD().name, Adam().name] == ["sgd", "sgd_1", "adam"]
    assert [AdamW().name, AdamW().name] == ["adam_w", "adam_w_1"]
    theirs = keras_library().optimizers.RMSprop().name
    assert RMSprop().name == re.sub(r"_\d+$", "", theirs)
    assert Adam(name="mine").name == "mine"


def test_every_optimizer_is_here():
    assert list(OPTIMIZERS.values()) == ALL
    assert all(getattr(lr.optimizers, kind.__name__) is kind for kind in ALL)


@pytest.mark.parametrize(("rule", "option"), [pair for pair in PAIRS if pair[1] != "a function"])
def test_configs_round_trip_and_are_those_of_keras(rule, option):
    optimizer = make(lr.optimizers, rule, option)
    config = optimizer.get_config()
    written = json.loads(json.dumps(serialize(optimizer)))
    for again in (
        get(written),
        deserialize(serialize(optimizer)),
        type(optimizer)(**arguments(config)),
    ):
        assert type(again) is type(optimizer)
        assert again.get_config() == config
    theirs = make(keras_library().optimizers, rule, option).get_config()
    assert list(theirs) == list(config)
    # Each reads what the other has written.
    kind = getattr(keras_library().optimizers, type(optimizer).__name__)
    back = kind.from_config(json.loads(json.dumps(config)))
    assert type(optimizer).from_config(json.loads(json.dumps(theirs))).built is False
    for key, value in back.get_config().items():
        if key == "learning_rate" and isinstance(value, dict):
            assert value["class_name"] == config[key]["class_name"]
            assert value["config"] == config[key]["config"]
        elif key != "name":
            assert value == pytest.approx(config[key]), key


def arguments(config):
    """A config as the arguments of a constructor: the schedule made."""
    rate = config["learning_rate"]
    return {
        **config,
        "learning_rate": schedules.deserialize(rate) if isinstance(rate, dict) else rate,
    }


def test_spared_weights_travel_beside_the_config():
    optimizer = AdamW()
    assert set(serialize(optimizer)) == {"class_name", "config"}
    optimizer.exclude_from_weight_decay(["lstm/bias"], ["^b", "recurrent"])
    written = json.loads(json.dumps(serialize(optimizer)))
    again = get(written)
    names = ("lstm/bias", "lstm/kernel", "dense/bias", "lstm/recurrent_kernel")
    assert [again.decays(n) for n in names] == [False, True, False, False]
    assert serialize(again) == serialize(optimizer)
    keras_library().optimizers.deserialize(written)  # which does not mind


def test_a_model_file_carries_the_schedule(tmp_path):
    model = lr.Sequential([lr.layers.Input((4, 2)), lr.layers.LSTM(3, name="lstm")])
    rates = schedules.CosineDecay(0.1, 10, 0.2, warmup_target=0.3, warmup_steps=4)
    optimizer = AdamW(rates, clipnorm=1.0, gradient_accumulation_steps=2)
    optimizer.exclude_from_weight_decay(["lstm/bias"])
    model.compile(optimizer, "mse")
    model.save(tmp_path / "model.npz")
    again = lr.load_model(tmp_path / "model.npz").optimizer
    assert serialize(again) == serialize(optimizer)
    assert again.learning_rate == optimizer.learning_rate


@pytest.mark.parametrize("rule", RULES)
def test_a_copy_goes_on_alike(rule):
    optimizer = make(lr.optimizers, rule, "everything")
    w = optimizer.apply(W, G)
    again = copy.deepcopy(optimizer)
    np.testing.assert_array_equal(again.apply(w, G)["w"], optimizer.apply(w, G)["w"])


# Refusals.


@pytest.mark.parametrize(
    ("make_it", "sentence"),
    [
        (lambda: SGD(lr=0.1), "SGD(lr=...): there is no such argument: it is called learning_rate"),
        (lambda: SGD(nestrov=True), "SGD(nestrov=...): there is no such argument"),
        (lambda: AdamW(decay=0.1), "AdamW(decay=...): there is no such argument: a learning rate"),
        (lambda: Adam(loss_scale_factor=2.0), "Adam(loss_scale_factor=2.0) is not supported: it"),
        (lambda: SGD(None), "SGD(learning_rate=None): a number is needed, a schedule of"),
        (lambda: SGD("0.1"), "SGD(learning_rate='0.1'): a number is needed"),
        (lambda: SGD(True), "SGD(learning_rate=True): a number is needed"),
        (lambda: SGD(schedules.CosineDecay), "a number is needed, a schedule of"),
        (lambda: get("lion"), "optimizer='lion' is not supported: 'sgd', 'adam', 'adamw', 'nadam'"),
        (lambda: get({"class_name": "Muon", "config": {}}), "optimizer='Muon' is not supported"),
        (lambda: get(Adam), "is not supported: 'sgd'"),
        (lambda: get(3), "optimizer=3 is not supported"),
        (lambda: get({}), "optimizer={} is not supported"),
        (lambda: deserialize({}, custom_objects={"A": Adam}), "deserialize(custom_objects=...)"),
        (lambda: Adam(lambda: 0.1).get_config(), "cannot be written into a config"),
    ],
)
def test_what_is_not_there_is_refused_by_name(make_it, sentence):
    with pytest.raises(UnsupportedError, match=re.escape(sentence)):
        make_it()


@pytest.mark.parametrize(
    ("make_it", "sentence"),
    [
        (lambda: SGD(momentum=1.5), "SGD(momentum=1.5): a number from 0 to 1 is needed"),
        (lambda: SGD(momentum=float("nan")), "SGD(momentum=nan): a number from 0 to 1 is needed"),
        (lambda: RMSprop(momentum=-0.1), "RMSprop(momentum=-0.1): a number is needed, 0 or more"),
        (lambda: Adam(beta_1="0.9"), "Adam(beta_1='0.9'): a number is needed"),
        (lambda: Adagrad(initial_accumulator_value=-1), "since it begins a sum of squares"),
        (lambda: AdamW(weight_decay=None), "AdamW(weight_decay=None): a number is needed; Adam is"),
        (lambda: SGD(clipnorm=0), "SGD(clipnorm=0): a number above 0 is needed, or None for no"),
        (lambda: SGD(clipvalue=-1.0), "SGD(clipvalue=-1.0): a number above 0 is needed"),
        (lambda: SGD(global_clipnorm=True), "SGD(global_clipnorm=True): a number above 0"),
        (lambda: SGD(clipnorm=1, clipvalue=1), "SGD got clipnorm=1, clipvalue=1 and global"),
        (lambda: SGD(clipvalue=1, global_clipnorm=1), "only one of them can be set"),
        (lambda: SGD(use_ema=True, ema_momentum=1.1), "SGD(ema_momentum=1.1): a number from 0 to"),
        (lambda: SGD(ema_overwrite_frequency=0), "1 (every step) or more, or None for never"),
        (lambda: SGD(gradient_accumulation_steps=1), "2 (every other step) or more, or None"),
        (lambda: SGD(gradient_accumulation_steps=2.0), "steps=2.0): a whole number is needed"),
        (lambda: SGD(gradient_accumulation_steps=True), "a whole number is needed"),
        (lambda: SGD(weight_decay="small"), "SGD(weight_decay='small'): a number is needed"),
        (
            lambda: get({"class_name": "SGD", "config": {"learning_rate": {"class_name": "Mine"}}}),
            "there is no learning_rate_schedule 'Mine'; there are cosine_decay",
        ),
    ],
)
def test_arguments_that_make_no_sense(make_it, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        make_it()


def test_a_schedule_whose_config_is_of_another_class():
    rate = {"class_name": "CosineDecay", "config": {"initial_learning_rate": 1.0, "decay_rate": 2}}
    with pytest.raises(ModelFormatError, match="CosineDecay cannot have the config"):
        get({"class_name": "SGD", "config": {"learning_rate": rate}})


def test_keras_arguments_at_their_defaults_are_taken():
    defaults = {"clipnorm": None, "use_ema": False, "ema_momentum": 0.99, "loss_scale_factor": None}
    assert isinstance(Adam(**defaults), Optimizer)
    for kind in ALL:
        theirs = getattr(keras_library().optimizers, kind.__name__)().get_config()
        ours = kind(**{k: v for k, v in theirs.items() if k != "name"}).get_config()
        assert ours == {**theirs, "name": ours["name"]}
        plain = kind().get_config()
        assert {**plain, "name": ""} == {
            **ours, "name": "", "learning_rate": plain["learning_rate"],
        }  # fmt: skip
        assert np.float32(plain["learning_rate"]) == np.float32(ours["learning_rate"])
