"""The LSTM layer against Keras: outputs, states, masks, options; and its error sentences."""

import inspect
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_ref.errors import ModelFormatError, ShapeError, UnsupportedError
from lstm_ref.layers import LSTM, Masking
from tests.cases import MASKS, make_mask
from tests.keras_peer import OURS, assert_close, keras_library, library_dtype, random_weights

ULPS = 12
"""Keras, PyTorch and ONNX Runtime differ by as much among themselves on sequences this short."""


def both_layers(rng: np.random.Generator, D: int, **arguments: Any) -> tuple[Any, Any]:
    """Keras' layer and ours, with the same weights."""
    theirs, ours = (library.layers.LSTM(**arguments) for library in (keras_library(), OURS))
    for layer in (theirs, ours):
        layer.build((None, None, D))
    weights = random_weights([w.shape for w in theirs.get_weights()], rng)
    theirs.set_weights(weights)
    ours.set_weights(weights)
    return theirs, ours


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.tuples(*[st.integers(1, 4), st.integers(1, 7), st.integers(1, 5), st.integers(1, 6)]),
    activation=st.sampled_from(["tanh", "relu", "sigmoid", "softsign", None]),
    recurrent_activation=st.sampled_from(["sigmoid", "hard_sigmoid"]),
    mask=st.sampled_from(MASKS),
    flags=st.fixed_dictionaries(
        {
            "use_bias": st.booleans(),
            "return_sequences": st.booleans(),
            "go_backwards": st.booleans(),
            "zero_output_for_mask": st.booleans(),
        }
    ),
    given_state=st.booleans(),
)
def test_outputs_and_states_equal_keras(
    dtype, seed, sizes, activation, recurrent_activation, mask, flags, given_state
):
    rng = np.random.default_rng(seed)
    B, T, D, H = sizes
    with library_dtype(dtype):
        theirs, ours = both_layers(
            rng,
            D,
            units=H,
            activation=activation,
            recurrent_activation=recurrent_activation,
            return_state=True,
            **flags,
        )
        x = rng.normal(size=(B, T, D)).astype(dtype)
        state = [rng.normal(size=(B, H)).astype(dtype) for _ in range(2)] if given_state else None
        m = make_mask(mask, B, T, rng)
        expected = theirs(x, mask=m, initial_state=state)
        got = ours(x, mask=m, initial_state=state)
    for name, a, b in zip(("y", "h", "c"), got, expected, strict=True):
        assert_close(a, np.asarray(b), ulps=ULPS, what=name)


@pytest.mark.parametrize("return_sequences", [False, True])
def test_without_return_state_the_output_is_one_array(return_sequences, rng):
    theirs, ours = both_layers(rng, 3, units=4, return_sequences=return_sequences)
    x = rng.normal(size=(2, 5, 3)).astype("float32")
    got = ours(x)
    assert isinstance(got, np.ndarray)
    assert_close(got, np.asarray(theirs(x)), ulps=ULPS)


@pytest.mark.parametrize("use_bias", [True, False])
def test_weights_have_the_order_shapes_and_names_of_keras(use_bias):
    theirs, ours = both_layers(np.random.default_rng(0), 3, units=4, use_bias=use_bias)
    assert [w.name for w in theirs.weights] == list(ours.params)
    assert [tuple(w.shape) for w in theirs.weights] == [w.shape for w in ours.weights]
    assert ours.count_params() == theirs.count_params()
    assert (ours.bias is None) is not use_bias
    np.testing.assert_array_equal(ours.kernel, ours.get_weights()[0])
    np.testing.assert_array_equal(ours.recurrent_kernel, ours.get_weights()[1])


def test_defaults_and_argument_order_are_those_of_keras():
    theirs = inspect.signature(keras_library().layers.LSTM.__init__).parameters
    ours = inspect.signature(LSTM.__init__).parameters
    positional = [n for n, p in theirs.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert [n for n, p in ours.items() if p.kind is p.POSITIONAL_OR_KEYWORD] == positional
    assert [ours[n].default for n in positional] == [theirs[n].default for n in positional]


def test_config_holds_keras_values_and_makes_the_same_layer_again():
    layer = LSTM(4, activation="relu", go_backwards=True, name="reader", seed=3)
    theirs = keras_library().layers.LSTM(4, activation="relu", go_backwards=True, seed=3)
    config = layer.get_config()
    for key, value in theirs.get_config().items():
        if key in config and key not in ("name", "dtype") and "initializer" not in key:
            assert config[key] == value, key
    assert LSTM.from_config(config).get_config() == config


def test_what_keras_takes_for_speed_changes_no_value(rng):
    x = rng.normal(size=(2, 5, 3))
    plain = LSTM(4)
    y = plain(x)
    other = LSTM(4, unroll=True, use_cudnn=False, implementation=1)
    other.build((None, None, 3))
    other.set_weights(plain.get_weights())
    np.testing.assert_array_equal(other(x, training=True), y)


# Stateful layers.


def test_stateful_layers_go_on_where_they_were_until_reset(rng):
    with library_dtype("float64"):
        theirs, ours = (
            library.layers.LSTM(4, stateful=True, return_sequences=True)
            for library in (keras_library(), OURS)
        )
        for layer in (theirs, ours):
            layer.build((2, None, 3))
        weights = random_weights([w.shape for w in theirs.get_weights()], rng)
        theirs.set_weights(weights)
        ours.set_weights(weights)
        x = rng.normal(size=(2, 6, 3))
        for part in (x[:, :2], x[:, 2:3], x[:, 3:]):
            assert_close(ours(part), np.asarray(theirs(part)), ulps=ULPS)
        theirs.reset_state()
        ours.reset_states()
        assert_close(ours(x), np.asarray(theirs(x)), ulps=ULPS)


def test_a_stateful_layer_in_parts_equals_the_whole_sequence(rng):
    x = rng.normal(size=(2, 6, 3))
    layer = LSTM(4, stateful=True, return_sequences=True, dtype="float64")
    layer.build((2, None, 3))
    whole = layer(x)
    layer.reset_state()
    parts = np.concatenate([layer(x[:, :2]), layer(x[:, 2:])], axis=1)
    assert_close(parts, whole, ulps=4)


def test_a_stateful_layer_keeps_its_state_from_its_callers(rng):
    layer = LSTM(4, stateful=True, return_state=True)
    layer.build((2, None, 3))
    _, h, _ = layer(rng.normal(size=(2, 3, 3)))
    h[:] = 7
    assert np.all(layer.states[0] != 7)


def test_a_stateful_layer_needs_one_batch_size():
    with pytest.raises(ShapeError, match=r"stateful, so its batch size must be known.*batch_shape"):
        LSTM(4, stateful=True).build((None, 5, 3))
    layer = LSTM(4, stateful=True)
    layer(np.zeros((2, 5, 3)))
    with pytest.raises(ShapeError, match=r"batches of 2 rows, and one of 3 rows came"):
        layer(np.zeros((3, 5, 3)))


def test_any_other_layer_begins_every_call_from_zeros(rng):
    layer = LSTM(4)
    x = rng.normal(size=(2, 3, 3))
    np.testing.assert_array_equal(layer(x), layer(x))
    assert layer.states is None


# Edges.


@pytest.mark.parametrize("return_sequences", [True, False])
@pytest.mark.parametrize(("B", "T"), [(0, 5), (2, 0), (0, 0)])
def test_no_rows_and_no_steps_give_empty_results_or_zeros(B, T, return_sequences):
    layer = LSTM(4, return_sequences=return_sequences, return_state=True)
    y, h, c = layer(np.zeros((B, T, 3)))
    assert y.shape == ((B, T, 4) if return_sequences else (B, 4))
    assert not y.any()
    assert h.shape == c.shape == (B, 4)


def test_nan_in_masked_steps_goes_nowhere(rng):
    layer = LSTM(4, return_sequences=True, dtype="float64")
    x = rng.normal(size=(2, 5, 3))
    mask = np.array([[True, True, False, True, False]] * 2)
    clean = layer(x, mask=mask)
    x[~mask] = np.nan
    np.testing.assert_array_equal(layer(x, mask=mask), clean)
    y, cache = layer.forward(x, mask, keep_cache=True)
    d_x, gradients = layer.backward(np.ones_like(y), cache)
    assert all(np.isfinite(g).all() for g in (d_x, *gradients.values()))


@pytest.mark.parametrize("return_sequences", [True, False])
@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("options", [{}, {"go_backwards": True}, {"zero_output_for_mask": True}])
def test_gradients_equal_keras(return_sequences, kind, options, rng):
    import tensorflow as tf

    with library_dtype("float64"):
        theirs, ours = both_layers(rng, 3, units=4, return_sequences=return_sequences, **options)
        x = rng.normal(size=(3, 6, 3))
        mask = make_mask(kind, 3, 6, rng)
        y, cache = ours.forward(x, mask, keep_cache=True)
        d_y = rng.normal(size=y.shape)
        d_x, gradients = ours.backward(d_y, cache)
        with tf.GradientTape() as tape:
            inputs = tf.Variable(x)
            output = theirs(inputs, mask=mask)
            target = tf.reduce_sum(output * d_y)
        wanted = tape.gradient(target, [inputs, *[w.value for w in theirs.weights]])
    for name, a, b in zip(("x", *gradients), (d_x, *gradients.values()), wanted, strict=True):
        assert_close(a, b.numpy(), ulps=40, what=f"d_{name}")


def test_masking_and_a_mask_argument_mean_the_same(rng):
    x = rng.normal(size=(2, 5, 3)).astype("float32")
    x[0, 3:] = 0
    layer = LSTM(4)
    masking = Masking()
    y = layer(x, mask=masking.compute_mask(x))
    np.testing.assert_array_equal(layer(masking(x), mask=(x != 0).any(-1)), y)
    assert_close(layer(x[:1, :3]), y[:1], ulps=4)


# Sentences.


def test_a_2d_input_is_told_how_to_become_3d():
    with pytest.raises(ShapeError) as error:
        LSTM(4, name="reader")(np.zeros((32, 10)))
    assert str(error.value) == (
        "layer 'reader' (LSTM) got an input of shape (32, 10): an LSTM reads (batch, time, "
        "features); for one feature per step use x[..., None], for one sequence of several "
        "features use x[None]"
    )


def test_another_feature_count_is_named():
    layer = LSTM(4, name="reader")
    layer.build((None, None, 3))
    with pytest.raises(ShapeError, match=r"2 features a step, and its weights were made for 3"):
        layer(np.zeros((5, 7, 2)))
    with pytest.raises(ShapeError, match="may be swapped"):
        layer(np.zeros((5, 3, 2)))
    with pytest.raises(ShapeError, match="number of features, the last axis, must be known"):
        LSTM(4).build((None, 5, None))


def test_set_weights_names_the_weight():
    layer = LSTM(4, name="reader")
    with pytest.raises(ShapeError, match="has no weights yet: build it first"):
        layer.set_weights([])
    layer.build((None, None, 3))
    W, U, b = layer.get_weights()
    with pytest.raises(ShapeError, match="takes 3 arrays, and 2 came"):
        layer.set_weights([W, U])
    message = re.escape("reader/recurrent_kernel has shape (4, 16), and an array of shape (16, 4)")
    with pytest.raises(ShapeError, match=message):
        layer.set_weights([W, U.T, b])
    with pytest.raises(ShapeError, match="there is no weight reader/peephole"):
        layer.assign({"peephole": b})


def test_weights_are_copied_in_and_out_and_handed_out_read_only():
    layer = LSTM(2)
    layer.build((None, None, 3))
    given = [np.ones_like(w) for w in layer.get_weights()]
    layer.set_weights(given)
    given[0][:] = 5
    layer.get_weights()[0][:] = 6
    assert np.all(layer.kernel == 1)
    with pytest.raises(ValueError, match="read-only"):
        layer.kernel[:] = 7
    with pytest.raises(ValueError, match="read-only"):
        layer.weights[0][:] = 7


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"kernel_regularizer": abs}, "a function could not be saved with the model"),
        ({"bias_constraint": abs}, "a function could not be saved with the model"),
        ({"seed": 1.5}, "LSTM(seed=1.5): a seed is an integer or None"),
        ({"time_major": True}, "LSTM(time_major=True) is not supported yet: use x.swapaxes(0, 1)"),
        ({"autocast": False}, "LSTM(autocast=False) is not supported"),
        ({"dtype": "float16"}, "dtype='float16' is not supported"),
        ({"dtype": "mixed_float16"}, "dtype='mixed_float16' is not supported"),
        ({"peepholes": True}, "LSTM(peepholes=...): there is no such argument here"),
    ],
)
def test_what_is_not_there_is_refused_by_name(arguments, sentence):
    with pytest.raises(UnsupportedError, match=re.escape(sentence)):
        LSTM(4, **arguments)


@pytest.mark.parametrize("argument", ["dropout", "recurrent_dropout"])
@pytest.mark.parametrize("rate", [1.0, 1, -0.1, "0.2", np.nan, True])
def test_a_dropout_rate_is_a_part_below_one(argument, rate):
    with pytest.raises(ValueError, match=rf"LSTM\({argument}=.*: a number from 0 to below 1"):
        LSTM(4, **{argument: rate})
    if rate == 1 and rate is not True:
        with pytest.raises(ValueError, match="Keras' LSTM then drops nothing"):
            LSTM(4, **{argument: rate})


@pytest.mark.parametrize("units", [0, -1, 2.5, True, "4"])
def test_units_are_a_positive_whole_number(units):
    with pytest.raises(ValueError, match="positive whole number"):
        LSTM(units)


def test_other_mistakes():
    with pytest.raises(ValueError, match="unknown activation 'tahn'"):
        LSTM(4, activation="tahn")
    with pytest.raises(ModelFormatError, match="a LSTM layer cannot have"):
        LSTM.from_config({"name": "reader"})
    with pytest.raises(ShapeError, match=r"the initial state holds 3 arrays.*\[h0, c0\]"):
        LSTM(4)(np.zeros((1, 2, 3)), initial_state=[0, 0, 0])
    with pytest.raises(AttributeError, match="no weights before it is built"):
        _ = LSTM(4).kernel
    with pytest.raises(ValueError, match="is not built"):
        LSTM(4).count_params()


def test_the_initial_state_may_be_one_array() -> None:
    """h0 and c0 stacked, as np.stack gives them, are the pair."""
    layer, x = LSTM(4), np.ones((3, 2, 5), "float32")
    state = np.random.default_rng(3).normal(size=(2, 3, 4)).astype("float32")
    np.testing.assert_array_equal(
        layer(x, initial_state=state), layer(x, initial_state=[state[0], state[1]])
    )
