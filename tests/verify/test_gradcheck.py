"""gradcheck agrees with right gradients, and names the entry of a wrong one."""

import numpy as np
import pytest

import lstm_ref
from lstm_ref import layers
from lstm_ref.errors import ShapeError, UnsupportedError
from lstm_ref.layers import LSTM, Dense, Input, Masking
from lstm_ref.layers.session import set_seed
from lstm_ref.model import Sequential
from lstm_ref.training.bptt import RecomputedBPTT, TruncatedBPTT
from lstm_ref.verify import gradcheck, gradcheck_function


def small_model(*, masked=False, dtype="float32", loss="mse", units=4, **lstm) -> Sequential:
    set_seed(7)
    model = Sequential(
        [
            Input((None, 2), dtype=dtype),
            *([Masking(mask_value=0.0, dtype=dtype)] if masked else []),
            LSTM(units, return_sequences=True, dtype=dtype, name="lstm", **lstm),
            Dense(3, dtype=dtype, name="head"),
        ]
    )
    model.compile(optimizer="adam", loss=loss)
    return model


def batch(rng, B=3, T=5) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(size=(B, T, 2)), rng.normal(size=(B, T, 3))


@pytest.mark.parametrize("activation", ["tanh", "relu", "hard_sigmoid", "leaky_relu"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_right_gradient_agrees(rng, activation, dtype):
    model = small_model(activation=activation, dtype=dtype)
    result = gradcheck(model, *batch(rng))
    assert result.ok, result
    assert [t.name for t in result.tensors] == list(model.named_weights())
    assert all(t.elementwise and t.checked == np.prod(t.shape) for t in result.tensors)
    assert 0 < result.worst.worst_relative_error < 1e-6


def test_masks_sample_weights_and_the_absolute_error_too(rng):
    x, y = batch(rng)
    x[1, 2:] = 0
    x[2] = 0
    model = small_model(masked=True, loss="mae", go_backwards=True)
    assert gradcheck(model, x, y, sample_weight=rng.uniform(size=(3, 5))).ok


def test_a_stateful_model_is_checked_from_a_zero_state(rng):
    set_seed(7)
    lstm = LSTM(4, return_sequences=True, stateful=True, batch_input_shape=(3, 5, 2))
    model = Sequential([lstm, Dense(3)])
    model.compile(loss="mse")
    x, y = batch(rng)
    model.predict(x, batch_size=3)
    assert gradcheck(model, x, y).ok


def test_the_model_stays_as_it_is(rng):
    model = small_model()
    before = model.get_weights()
    gradcheck(model, *batch(rng))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old, strict=True)
    assert model.layers[0].dtype == "float32"


def test_nothing_is_run_on_the_model_itself(rng):
    """Its state and what its dropout drops next are as if it had not been checked."""
    x, y = rng.normal(size=(2, 3, 2)), rng.normal(size=(2, 4))
    outputs = []
    for checked in (False, True):
        ones = {"kernel_initializer": "ones", "recurrent_initializer": "ones"}
        layer = LSTM(4, stateful=True, dropout=0.5, seed=1, **ones)
        model = Sequential([Input(batch_shape=(2, 3, 2)), layer])
        model.compile("sgd", "mse")
        if checked:
            gradcheck(model, x, y)
        outputs.append(layer(x, training=True))
    np.testing.assert_array_equal(*outputs)


def test_zero_padding_puts_a_relu_lstm_at_its_kink(rng):
    """Zero inputs, zero biases: the candidate's pre-activation is exactly 0 before the data."""
    x, y = batch(rng)
    x[:, :2] = 0
    model = small_model(activation="relu")
    result = gradcheck(model, x, y)
    assert result.ok, result
    kinks = {t.name: t.kinks for t in result.tensors}
    assert 0 < kinks.pop("lstm/bias") <= 4  # the candidate's entries
    assert set(kinks.values()) == {0}
    assert "at a kink" in str(result)


def test_kinks_of_a_large_weight_are_told_apart_entry_by_entry(rng):
    """A direction passes some of the candidate's kinks upwards and some downwards."""
    x, y = batch(rng)
    x[:, :2] = 0
    result = gradcheck(small_model(activation="relu", units=8), x, y, elementwise=20)
    assert result.ok, result
    bias = next(t for t in result.tensors if t.name == "lstm/bias")
    assert bias.elementwise
    assert bias.checked == 20
    assert bias.kinks > 0


def test_every_kind_of_layer_at_once(rng):
    """With dropout, which drops the same for every difference, with penalties and masks."""
    model = Sequential(
        [
            layers.Input((6,), dtype="int32"),
            layers.Embedding(9, 3, mask_zero=True, embeddings_regularizer="l2"),
            layers.Bidirectional(
                layers.LSTM(
                    3, return_sequences=True, dropout=0.2, recurrent_dropout=0.1,
                    recurrent_regularizer="l2", activity_regularizer=lstm_ref.regularizers.L2(0.1),
                ),
                merge_mode="mul",
            ),
            layers.RNN(
                [layers.LSTMCell(4, dropout=0.2), layers.LSTMCell(3)],
                return_sequences=True, go_backwards=True,
            ),
            layers.Dropout(0.3),
            layers.TimeDistributed(layers.Dense(2), activity_regularizer="l2"),
            layers.Activation("tanh"),
        ]
    )  # fmt: skip
    model.compile("adam", "mse")
    x, y = rng.integers(0, 9, (5, 6)), rng.normal(size=(5, 6, 2))
    result = gradcheck(model, x, y)
    assert result.ok, result
    assert len(result.tensors) == 1 + 6 + 6 + 2


@pytest.fixture
def planted(monkeypatch):
    """Make one entry of one gradient wrong."""

    def plant(weight: str, index: tuple, factor: float):
        right = Sequential.backpropagate

        def wrong(self, *arguments, **options):
            gradients = right(self, *arguments, **options)
            gradient = gradients[weight].copy()
            gradient[index] *= factor
            return {**gradients, weight: gradient}

        monkeypatch.setattr(Sequential, "backpropagate", wrong)

    return plant


@pytest.mark.parametrize(
    ("weight", "index"),
    [
        ("lstm/kernel", (1, 9)),
        ("lstm/recurrent_kernel", (2, 3)),
        ("lstm/bias", (15,)),
        ("head/kernel", (3, 1)),
    ],
)
@pytest.mark.parametrize("factor", [1.0001, -1.0, 0.0, np.nan])
def test_a_wrong_entry_is_named(rng, planted, weight, index, factor):
    planted(weight, index, factor)
    result = gradcheck(small_model(), *batch(rng))
    assert not result.ok
    assert sum(not t.ok for t in result.tensors) == 1
    worst = result.worst
    assert f"{worst.layer}/{worst.tensor}" == worst.name == weight
    assert worst.index == index
    assert f"most in {worst.name}{list(index)}" in str(result)
    np.testing.assert_allclose(worst.analytic, worst.numeric * factor, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("factor", [1.01, -1.0, 0.0])
def test_a_wrong_entry_of_a_large_weight_is_found_by_halving(rng, planted, factor):
    index = (7, 45)
    planted("lstm/recurrent_kernel", index, factor)
    model = small_model(units=16, activation="relu")
    result = gradcheck(model, *batch(rng))
    assert not result.ok
    worst = result.worst
    assert not worst.elementwise
    assert (worst.tensor, worst.index) == ("recurrent_kernel", index)
    np.testing.assert_allclose(worst.analytic, worst.numeric * factor, rtol=1e-6, atol=1e-12)


def test_a_large_weight_costs_a_few_losses(rng):
    model = small_model(units=64, activation="relu")
    result = gradcheck(model, *batch(rng, B=8, T=20))
    assert result.ok, result
    large = {t.tensor: t.checked for t in result.tensors if not t.elementwise}
    assert large == {"kernel": 3, "recurrent_kernel": 3}


def test_an_error_spread_over_a_large_weight_is_seen(rng, planted):
    planted("lstm/recurrent_kernel", (slice(None), slice(16, 32)), 1.001)
    result = gradcheck(small_model(units=16), *batch(rng))
    assert not result.ok
    assert result.worst.tensor == "recurrent_kernel"


def test_the_functional_core_with_gradients_from_everywhere(rng):
    """The LSTM's own backward pass: upstream gradients on hs, h and c, down to x, h0 and c0."""
    B, T, D, H = 2, 4, 3, 5
    values = {
        "x": rng.normal(size=(B, T, D)),
        "kernel": rng.normal(size=(D, 4 * H)) / 2,
        "recurrent_kernel": rng.normal(size=(H, 4 * H)) / 2,
        "bias": rng.normal(size=4 * H),
        "h0": rng.normal(size=(B, H)),
        "c0": rng.normal(size=(B, H)),
    }
    up = [rng.normal(size=shape) for shape in [(B, T, H), (B, H), (B, H)]]

    def loss_and_gradients(v):
        params = lstm_ref.LSTMParams(v["kernel"], v["recurrent_kernel"], v["bias"])
        out = lstm_ref.lstm_forward(
            v["x"], params, h0=v["h0"], c0=v["c0"], keep_cache=True, backend="numpy"
        )
        grads = lstm_ref.lstm_backward(*up, out.cache)
        results = zip(up, (out.hs, out.h, out.c), strict=True)
        loss = float(sum(np.sum(u * result) for u, result in results))
        return loss, {name: getattr(grads, f"d_{name}") for name in v}

    result = gradcheck_function(loss_and_gradients, values)
    assert result.ok, result
    assert result.worst.worst_relative_error < 1e-8
    assert result.worst.layer == ""


def quadratic(weights):
    """½ Σ aᵢ·w² and its gradient."""
    a = np.arange(1.0, 7).reshape(2, 3)
    return 0.5 * float(np.sum(a * weights["w"] ** 2)), {"w": a * weights["w"]}


def test_a_function_of_ones_own():
    weights = {"w": np.linspace(-1, 2, 6).reshape(2, 3)}
    result = gradcheck(quadratic, weights)
    assert result.ok
    assert [t.name for t in result.tensors] == ["w"]
    assert str(result) == str(gradcheck_function(quadratic, weights))

    def wrong(weights):
        loss, gradients = quadratic(weights)
        gradients["w"][1, 2] *= 1.01
        return loss, gradients

    result = gradcheck(wrong, weights, elementwise=1, directions=2)
    assert not result.ok
    assert result.worst.place == "w[1, 2]"
    with pytest.raises(TypeError, match="takes no y, sample_weight or inputs"):
        gradcheck(quadratic, weights, inputs=True)
    with pytest.raises(TypeError, match="takes no y, sample_weight or inputs"):
        gradcheck(quadratic, weights, np.zeros(3))


@pytest.mark.parametrize("other", [LSTM(3), 7, None])
def test_what_is_neither_a_model_nor_a_function_is_told(other, rng):
    with pytest.raises(TypeError, match=r"Sequential\(\[layer\]\), compiled with a loss"):
        gradcheck(other, *batch(rng))


@pytest.mark.parametrize("first", ["lstm", "padded", "dropped", "both ways"])
def test_the_gradient_on_the_input(rng, first, monkeypatch):
    """Padding stays padding: a loss does not depend on what stands there."""
    set_seed(7)
    x, y = batch(rng)
    kinds = {
        "lstm": [LSTM(4, return_sequences=True, go_backwards=True)],
        "padded": [Masking(-1.0), LSTM(4, return_sequences=True)],
        "dropped": [layers.Dropout(0.4, seed=3), LSTM(4, return_sequences=True, dropout=0.2)],
        "both ways": [layers.Bidirectional(LSTM(4, return_sequences=True), "mul")],
    }
    if first == "padded":
        x[1, 2:], x[2, 0] = -1, -1
    model = Sequential([Input((None, 2)), *kinds[first], Dense(3)])
    model.compile("sgd", "mse")
    result = gradcheck(model, x, y, rng.uniform(size=(3, 5)), inputs=True)
    assert result.ok, result
    assert [t.name for t in result.tensors] == [*model.named_weights(), "x"]
    assert result.tensors[-1].checked == x.size

    right = type(model.layers[0]).backward_to

    def wrong(self, *arguments):
        d_x, d_state, gradients = right(self, *arguments)
        if d_x.size:  # left out where the weights alone are asked for
            d_x = d_x.copy()
            d_x[1, 1, 0] += 1e-3
        return d_x, d_state, gradients

    monkeypatch.setattr(type(model.layers[0]), "backward_to", wrong)
    result = gradcheck(model, x, y, inputs=True)
    assert not result.ok
    assert result.worst.place == "x[1, 1, 0]"
    assert (result.worst.layer, result.worst.tensor) == ("", "x")


def test_a_large_input_is_checked_along_directions(rng):
    x, y = batch(rng, B=8, T=40)
    result = gradcheck(small_model(), x, y, inputs=True, elementwise=100)
    assert result.ok, result
    assert (result.tensors[-1].elementwise, result.tensors[-1].checked) == (False, 3)


def test_whole_numbers_have_no_gradient(rng):
    model = Sequential([layers.Embedding(9, 3), LSTM(2)])
    model.compile("sgd", "mse")
    x = rng.integers(0, 9, (2, 4))
    assert gradcheck(model, x, np.zeros((2, 2))).ok
    with pytest.raises(UnsupportedError, match="'embedding' reads whole numbers"):
        gradcheck(model, x, np.zeros((2, 2)), inputs=True)


def test_gradients_must_match_the_weights():
    weights = {"a": np.zeros(2), "b": np.zeros((2, 3))}
    with pytest.raises(ShapeError, match=r"'b' has shape \(2, 3\), and its gradient \(3, 2\)"):
        gradcheck_function(lambda w: (0.0, {"a": np.zeros(2), "b": np.zeros((3, 2))}), weights)
    with pytest.raises(ShapeError, match=r"'b' has shape.*its gradient none"):
        gradcheck_function(lambda w: (0.0, {"a": np.zeros(2)}), weights)


def test_nothing_to_check_is_told(rng):
    model = small_model()
    model.trainable = False
    with pytest.raises(ValueError, match="no trainable weight"):
        gradcheck(model, *batch(rng))


def test_what_does_not_fit_is_told_as_fit_would(rng):
    x, y = batch(rng)
    with pytest.raises(ShapeError):
        gradcheck(small_model(), x, y[:, :3])
    with pytest.raises(ValueError, match="compile"):
        gradcheck(Sequential([Dense(1)]), x, y)


def test_an_empty_weight_agrees():
    result = gradcheck_function(lambda w: (1.0, dict(w)), {"w": np.zeros((0, 3))})
    assert result.ok
    assert result.tensors[0].checked == 0


@pytest.mark.parametrize("per_step", [False, True])
@pytest.mark.parametrize("loss", ["categorical_crossentropy", "sparse_categorical_crossentropy"])
@pytest.mark.parametrize("last", ["dense", "activation"])
def test_classes(rng, loss, per_step, last):
    """The loss reads the logits behind the softmax, and so does its gradient."""
    x, _ = batch(rng)
    x[1, 3:] = 0
    head = [Dense(3, activation="softmax")]
    if last == "activation":
        head = [Dense(3), layers.Activation("softmax")]
    model = Sequential([Masking(), LSTM(4, return_sequences=per_step), *head])
    model.compile("adam", loss)
    labels = rng.integers(0, 3, (3, 5) if per_step else 3)
    y = np.eye(3)[labels] if loss.startswith("cat") else labels
    weight = rng.uniform(0.2, 2, labels.shape)
    result = gradcheck(model, x, y, weight, inputs=True)
    assert result.ok, result
    assert 0 < result.worst.worst_relative_error < 1e-6


def test_truncated_backpropagation_is_no_slope(rng):
    """What it leaves out is much, so it is said instead of being measured."""
    x, y = batch(rng, T=7)
    model = small_model()
    model.compile("sgd", "mse", bptt=TruncatedBPTT(3))
    with pytest.raises(UnsupportedError, match=r"bptt=TruncatedBPTT\(steps=3\), and the gradient"):
        gradcheck(model, x, y)
    model.compile("sgd", "mse", bptt=RecomputedBPTT(3))
    assert gradcheck(model, x, y).ok


def test_recomputed_backpropagation_is_what_is_checked(rng, monkeypatch):
    x, y = batch(rng, T=7)
    model = small_model()
    model.compile("sgd", "mse", bptt=RecomputedBPTT(3))
    right = RecomputedBPTT.learn

    def wrong(self, *arguments):
        learned = right(self, *arguments)
        learned.gradients["lstm/bias"][2] *= 1.001
        return learned

    monkeypatch.setattr(RecomputedBPTT, "learn", wrong)
    assert gradcheck(model, x, y).worst.place == "lstm/bias[2]"
