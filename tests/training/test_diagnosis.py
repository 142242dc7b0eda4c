"""A planted cause is named: its layer, direction, cell, step, quantity, unit and row.

Most are planted through a feature of the input that is 0 but for one row and one step, and goes
into one gate of one unit alone. The activations are linear, so that nothing hides an infinity.
"""

import numpy as np
import pytest

import lstm_ref as lr
from lstm_ref.conventions import GATES, split_gates
from lstm_ref.layers import (
    LSTM,
    RNN,
    Activation,
    Bidirectional,
    Dense,
    Dropout,
    Input,
    LSTMCell,
    Masking,
    TimeDistributed,
)
from lstm_ref.training.diagnosis import (
    all_finite,
    explain_bad_update,
    explain_non_finite,
    find_bad_update,
    find_non_finite,
)
from tests.cases import BACKENDS, computing

B, T, D = 5, 7, 3
ROW, STEP, UNIT = 3, 4, 1
NUMBERS = np.array([40, 17, 8, 99, 3])
"""Where the rows of the batch stand in the caller's data."""

LINEAR = {"activation": "linear", "recurrent_activation": "linear"}


def weights(rng, D, H):
    """Contractive weights of an LSTM whose last feature touches nothing yet."""
    W, U = (rng.normal(size=(n, 4 * H)).astype("f") * 0.1 for n in (D, H))
    W[-1] = 0
    return W, U, np.repeat(np.array([0.5, 0.3, 0.1, 0.4], "f"), H)


def data(rng, shape=(B, T, D)):
    """x, whose last feature is 0."""
    x = rng.normal(size=shape).astype("f")
    x[..., -1] = 0
    return x


def model_of(*layers, shape=(None, D), loss="mse", **compiled):
    model = lr.Sequential([Input(shape), *layers])
    model.compile("sgd", loss, **compiled)
    return model


def trouble(model, x, y=None, weight=None, kept=False):
    """The origin, and the batch with rows numbered as by a caller."""
    y = np.zeros(model.predict(x, verbose=0).shape, "f") if y is None else y
    batch = model.batch("fit", x, y, weight)._replace(numbers=NUMBERS[: len(x)])
    forward = None
    if kept:
        with np.errstate(all="ignore"):
            forward = model.run(batch.x, training=True, keep_cache=True)
    return find_non_finite(model, batch, model.loss, forward)


def place(origin):
    return origin.layer, origin.direction, origin.cell, origin.quantity, origin.steps, origin.row


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("gate", GATES)
def test_an_overflow_before_a_gate(rng, gate, backwards, kept, backend):
    H = 3
    layer = LSTM(H, return_sequences=True, go_backwards=backwards, name="lower", **LINEAR)
    model = model_of(layer, Dense(1))
    W, U, b = weights(rng, D, H)
    split_gates(W)[GATES.index(gate)][-1, UNIT] = 1e30
    layer.set_weights([W, U, b])
    x = data(rng)
    x[ROW, STEP, -1] = 1e20
    with computing(backend):
        origin = trouble(model, x, kept=kept)
    assert place(origin) == ("lower", None, None, f"z_{gate}", (STEP,), NUMBERS[ROW])
    assert origin.unit == UNIT
    assert origin.value == np.inf
    assert "x W + h U + b is too large for float32" in origin.cause
    assert "The weights are up to 1e+30, in kernel" in origin.cause
    assert f"of layer 'lower' at step {STEP}, row {NUMBERS[ROW]}, unit {UNIT}: inf" in str(origin)


@pytest.mark.parametrize("size", [1e30, 100])
def test_an_input_that_nobody_scaled(size, rng):
    """1e30 is named; 100 in an LSTM whose state doubles and more at each step is not."""
    layer = LSTM(3, return_sequences=True, name="it", **LINEAR)
    model = model_of(layer, Dense(1))
    W, U, b = weights(rng, D, 3)
    W[-1, UNIT] = 1e9
    if size == 100:
        W[-1], b[:] = 0, 20
    layer.set_weights([W, U, b])
    x = data(rng, (B, 400, D))
    x[(ROW, STEP) if size == 1e30 else (slice(None), 0)] = size
    origin = trouble(model, x)
    assert origin.layer == "it"
    if size == 1e30:
        assert place(origin) == ("it", None, None, "z_i", (STEP,), NUMBERS[ROW])
        assert "The input is up to 1e+30: scale it, to about 1" in origin.cause
    else:
        assert "The weights are up to 20, in bias: a lower learning_rate" in origin.cause
        assert "linear has no bound" in origin.cause


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("quantity", "into", "size", "activation", "formula"),
    [
        ("c", "ig", 1e20, "linear", "f·c + i·g is too large"),
        ("h", "go", 1e20, "linear", "o·φ(c) is too large"),
        ("g", "g", 200, "exponential", "exponential(200) is too large for float32"),
        ("h", "g", 60, "exponential", "o·φ(c) is too large"),  # exp(exp(60))
    ],
)
def test_an_overflow_after_finite_sums(rng, quantity, into, size, activation, formula, backend):
    H = 3
    options = {"activation": activation, "recurrent_activation": "linear"}
    layer = LSTM(H, return_sequences=True, name="it", **options)
    model = model_of(layer, Dense(1))
    W, U, b = weights(rng, D, H)
    if activation == "exponential":  # at rest otherwise: g = exp(-20), and no way back into it
        U[:], W[:], b[:] = 0, 0, np.repeat([0.5, 0.3, -20, 0.4], H)
        W[-1, 2 * H + UNIT] = 1
        size += 20
    else:
        for gate in into:
            split_gates(W)[GATES.index(gate)][-1, UNIT] = 1
    layer.set_weights([W, U, b])
    x = data(rng)
    x[ROW, STEP, -1] = size
    with computing(backend):
        origin = trouble(model, x)
    assert place(origin) == ("it", None, None, quantity, (STEP,), NUMBERS[ROW])
    assert origin.unit == UNIT
    assert formula in origin.cause


def spike(H):
    """An LSTM's weights whose unit 0 is 1e9 times the last feature at that step, and 0 else."""
    W, U, b = np.zeros((D, 4 * H), "f"), np.zeros((H, 4 * H), "f"), np.zeros(4 * H, "f")
    i, _, _, o = split_gates(b)
    i[:], o[:] = 1, 1
    split_gates(W)[2][-1, 0] = 1e9
    return W, U, b


def gate_of_unit(H_below, H, gate):
    """An LSTM's weights that send unit 0 of the layer below into one gate of one unit."""
    W, U, b = np.zeros((H_below, 4 * H), "f"), np.zeros((H, 4 * H), "f"), np.full(4 * H, 0.5, "f")
    split_gates(W)[GATES.index(gate)][0, UNIT] = 1e12
    return W, U, b


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("gate", GATES)
def test_cells_on_top_of_each_other(gate, backwards, backend, rng):
    cells = [LSTMCell(2, name="low", **LINEAR), LSTMCell(3, name="high", **LINEAR)]
    layer = RNN(cells, return_sequences=True, go_backwards=backwards, name="both")
    model = model_of(layer, Dense(1))
    layer.set_weights([*spike(2), *gate_of_unit(2, 3, gate)])
    x = data(rng)
    x[ROW, STEP, -1] = 1e20
    with computing(backend):
        origin = trouble(model, x)
    assert place(origin) == ("both", None, "high", f"z_{gate}", (STEP,), NUMBERS[ROW])
    assert origin.unit == UNIT
    assert "of layer 'both', cell 'high' at step 4, row 99, unit 1" in str(origin)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("merge_mode", ["concat", "mul"])
@pytest.mark.parametrize("direction", [0, 1])
@pytest.mark.parametrize("gate", GATES)
def test_either_direction(gate, direction, merge_mode, backend, rng):
    H = 3
    layer = Bidirectional(LSTM(H, return_sequences=True, **LINEAR), merge_mode, name="two")
    model = model_of(layer, Dense(1))
    each = [weights(rng, D, H), weights(rng, D, H)]
    split_gates(each[direction][0])[GATES.index(gate)][-1, UNIT] = 1e30
    layer.set_weights([*each[0], *each[1]])
    x = data(rng)
    x[ROW, STEP, -1] = 1e20
    with computing(backend):
        origin = trouble(model, x)
    named = ("forward", "backward")[direction]
    assert place(origin) == ("two", named, None, f"z_{gate}", (STEP,), NUMBERS[ROW])
    assert f"layer 'two', {named} at step" in str(origin)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("masked", [False, True])
def test_a_second_layer_and_a_mask(masked, backend, rng):
    """What stands in masked steps is no cause, NaN included, and steps count from the padding."""
    first = [Masking(0.0), Masking(-1.0)] if masked else []
    lower, upper = (LSTM(n, return_sequences=True, name=f"n{n}", **LINEAR) for n in (2, 3))
    model = model_of(*first, lower, upper, Dense(1))
    lower.set_weights([*spike(2)])
    upper.set_weights([*gate_of_unit(2, 3, "o")])
    x = data(rng)
    if masked:
        x[ROW, :2], x[1, 2:], x[2] = -1, -1, -1
    x[ROW, STEP, -1] = 1e20
    with computing(backend):
        origin = trouble(model, x)
    assert place(origin) == ("n3", None, None, "z_o", (STEP,), NUMBERS[ROW])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_input(value, rng):
    model = model_of(Masking(-1.0, name="mask"), LSTM(3), Dense(1))
    x = rng.normal(size=(B, T, D)).astype("f")
    x[ROW, :3] = -1
    x[ROW, STEP, 2] = value
    x[ROW, STEP + 1, 0] = np.nan  # later
    origin = trouble(model, x)
    assert place(origin) == ("mask", None, None, "x", (STEP,), NUMBERS[ROW])
    assert origin.unit == 2
    assert "The data hold it" in origin.cause
    np.testing.assert_equal(origin.value, value)


def test_padding_that_is_infinite_is_no_cause(rng):
    """And so is whatever happens in a row whose prediction is a number."""
    model = model_of(Masking(np.inf), LSTM(3, return_sequences=True), Dense(1, name="head"))
    x = rng.normal(size=(B, T, D)).astype("f")
    x[:, 5:] = np.inf
    y = np.zeros((B, T, 1), "f")
    y[ROW, 2] = np.nan
    origin = trouble(model, x, y)
    assert (origin.quantity, origin.step, origin.row) == ("target", 2, NUMBERS[ROW])


@pytest.mark.parametrize("gate", GATES)
def test_an_infinity_that_an_activation_bounds_is_no_cause(gate, rng):
    """A gate of a tanh LSTM is 0 or 1 for infinity; what overflows is something else."""
    layer = LSTM(3, return_sequences=True, name="lstm")
    head = Dense(2, activation="exponential", name="head")
    model = model_of(layer, head)
    W, U, b = weights(rng, D, 3)
    split_gates(W)[GATES.index(gate)][-1, UNIT] = 1e30
    layer.set_weights([W, U, b])
    head.set_weights([np.zeros((3, 2), "f"), np.array([0, 100], "f")])
    x = data(rng)
    x[0, 2, -1] = 1e20
    origin = trouble(model, x)
    assert place(origin) == ("head", None, None, "y", (0,), NUMBERS[0])
    assert origin.unit == 1


def test_a_row_that_comes_out_well_is_no_cause():
    """In row 0 exp(100) closes the gates of the LSTM, and its prediction is a number."""
    lstm, head = LSTM(1, return_sequences=True), Dense(1, activation="exponential", name="head")
    model = model_of(Activation("exponential"), lstm, head, shape=(None, 2))
    W = np.array([[1, 1, 1, 1], [-1, -1, -1, -1]], "f")
    lstm.set_weights([W, np.zeros((1, 4), "f"), np.zeros(4, "f")])
    head.set_weights([np.full((1, 1), 1000, "f"), np.zeros(1, "f")])
    x = np.full((B, T, 2), -20, "f")
    x[0, 1, 1] = 100
    x[ROW, STEP, 0] = 3
    origin = trouble(model, x, np.zeros((B, T, 1), "f"))
    assert place(origin) == ("head", None, None, "y", (STEP,), NUMBERS[ROW])


def test_the_first_step_of_all_rows_comes_first(rng):
    """c overflows in one row before z does in another, with the smaller number."""
    layer = LSTM(3, return_sequences=True, name="it", **LINEAR)
    model = model_of(layer, Dense(1))
    W, U, b = weights(rng, D, 3)
    i, _, g, o = split_gates(W)
    i[-1, UNIT] = g[-1, UNIT] = 1e10
    o[-1, 0] = 1e20
    layer.set_weights([W, U, b])
    x = data(rng)
    x[0, STEP, -1] = 1e20
    x[ROW, STEP - 2, -1] = 1e10
    origin = trouble(model, x)
    assert place(origin) == ("it", None, None, "c", (STEP - 2,), NUMBERS[ROW])


def test_padding_behind_an_overflow(rng):
    layer = LSTM(3, return_sequences=True, name="it", **LINEAR)
    model = model_of(Masking(np.inf), layer, Dense(1))
    W, U, b = weights(rng, D, 3)
    W[-1, UNIT] = 1e30
    layer.set_weights([W, U, b])
    x = data(rng)
    x[ROW, 0] = x[ROW, -1] = x[1, 2] = np.inf
    x[ROW, STEP, -1] = 1e20
    origin = trouble(model, x)
    assert place(origin) == ("it", None, None, "z_i", (STEP,), NUMBERS[ROW])


def test_a_dense_layer(rng):
    head = Dense(2, activation="exponential", name="head")
    model = model_of(LSTM(3, return_sequences=True), TimeDistributed(head, name="each"))
    kernel = rng.normal(size=(3, 2)).astype("f")
    head.set_weights([kernel, np.array([0, 90], "f")])
    origin = trouble(model, data(rng))
    assert place(origin) == ("each", None, None, "y", (0,), NUMBERS[0])
    assert origin.unit == 1
    assert "exponential(" in origin.cause
    head.set_weights([np.full((3, 2), 3e38, "f"), np.zeros(2, "f")])
    model.layers[0].set_weights(
        [np.zeros((D, 12), "f"), np.zeros((3, 12), "f"), np.full(12, 5, "f")]
    )
    origin = trouble(model, data(rng), np.zeros((B, T, 2), "f"))
    assert origin.quantity == "z"
    assert "h W + b is too large for float32. The weights are up to" in origin.cause


def test_an_lstm_inside_time_distributed(rng):
    inner = LSTM(3, go_backwards=True, **LINEAR)
    model = model_of(TimeDistributed(inner, name="each"), Dense(1), shape=(None, 6, D))
    W, U, b = weights(rng, D, 3)
    split_gates(W)[1][-1, UNIT] = 1e30
    inner.set_weights([W, U, b])
    x = data(rng, (B, T, 6, D))
    x[ROW, STEP, 2, -1] = 1e20
    origin = trouble(model, x)
    assert place(origin) == ("each", None, None, "z_f", (STEP, 2), NUMBERS[ROW])
    assert "at step 4, inner step 2, row 99, unit 1" in str(origin)


def test_a_layer_without_weights(rng):
    model = model_of(Activation("exponential", name="exp"), LSTM(2, **LINEAR), Dense(1))
    x = data(rng)
    x[ROW, STEP, 1] = 100
    origin = trouble(model, x)
    assert place(origin) == ("exp", None, None, "y", (STEP,), NUMBERS[ROW])
    assert origin.unit == 1


def test_a_layer_of_a_smaller_dtype(rng):
    model = lr.Sequential(
        [
            Input((None, D), dtype="float64"),
            Activation("exponential", dtype="float64"),
            LSTM(2, return_sequences=True, name="narrow", dtype="float32", **LINEAR),
        ]
    )
    model.compile("sgd", "mse")
    model.layers[1].set_weights([np.ones((D, 8)), np.ones((2, 8)), np.ones(8)])
    x = data(rng).astype("float64")
    x[ROW, STEP, 1] = 100
    origin = trouble(model, x, np.zeros((B, T, 2)))
    assert place(origin) == ("narrow", None, None, "x", (STEP,), NUMBERS[ROW])
    assert "too large for the dtype of this one" in origin.cause


@pytest.mark.parametrize("kept", [False, True])
def test_a_weight_that_is_nan_already(kept, rng):
    layer = Bidirectional(LSTM(3), name="two")
    model = model_of(layer, Dense(1))
    broken = layer.get_weights()
    broken[4][2, 7] = np.nan
    layer.set_weights(broken)
    x = data(rng)
    x[0, 0, 0] = np.nan
    origin = trouble(model, x, kept=kept)
    name = list(model.named_weights())[4]
    assert (origin.quantity, origin.weight, origin.index) == ("weight", name, (2, 7))
    assert origin.layer == "two"
    assert f"is the weight {name} at [2, 7]: nan. It was so before this batch" in str(origin)
    assert "learning_rate" in origin.cause


def test_the_state_of_a_stateful_layer(rng):
    layer = LSTM(2, stateful=True, return_sequences=True, name="on", activation="linear")
    model = lr.Sequential([Input(batch_shape=(B, T, D)), layer])
    model.compile("sgd", "mse")
    x = data(rng)
    x[ROW, -1] = 3e38
    with np.errstate(all="ignore"):
        model.predict(x, batch_size=B, verbose=0)
    broken = np.flatnonzero(~np.isfinite(np.concatenate(layer.states, 1)).all(1))
    assert broken == [ROW]
    clean = data(rng)
    y = np.zeros((B, T, 2), "f")
    batch = model.batch("fit", clean, y)
    with np.errstate(all="ignore"):
        forward = model.run(batch.x, training=True, keep_cache=True)
    origin = find_non_finite(model, batch, model.loss, forward)
    assert origin.quantity in ("h0", "c0")
    assert (origin.layer, origin.steps, origin.row) == ("on", (), ROW)
    assert "reset_states()" in origin.cause
    # Run again it begins from zeros, and there is nothing to be found; the state stays.
    states = model.layer_states()
    assert find_non_finite(model, batch, model.loss).quantity == "unknown"
    for name, state in model.layer_states().items():
        np.testing.assert_array_equal(state, states[name])
    model.reset_states()
    batch = model.batch("fit", x, y)
    assert find_non_finite(model, batch, model.loss).quantity.startswith("z_")


def test_the_sample_weights(rng):
    model = model_of(LSTM(2, return_sequences=True), Dense(1))
    weight = np.ones((B, T), "f")
    weight[ROW, STEP] = np.nan
    origin = trouble(model, data(rng), weight=weight)
    assert (origin.quantity, origin.steps, origin.row) == (
        *("sample_weight", (STEP,), NUMBERS[ROW]),
    )


def test_the_target(rng):
    model = model_of(LSTM(2), Dense(3))
    y = np.zeros((B, 3), "f")
    y[ROW, 2] = np.nan
    origin = trouble(model, data(rng), y)
    assert (origin.quantity, origin.steps, origin.row, origin.unit) == (
        *("target", (), NUMBERS[ROW], 2),
    )
    assert "Where a label is missing" in origin.cause


def test_a_masked_target_is_no_cause(rng):
    model = model_of(Masking(0.0), LSTM(2, return_sequences=True), Dense(1))
    x, y = data(rng), np.zeros((B, T, 1), "f")
    x[1, 3:], y[1, 3:] = 0, np.nan
    y[ROW, STEP] = np.nan
    origin = trouble(model, x, y)
    assert (origin.quantity, origin.steps, origin.row) == ("target", (STEP,), NUMBERS[ROW])


@pytest.mark.parametrize("label", [-1, 4, np.nan])
def test_a_label_that_is_no_class(label, rng):
    model = model_of(
        LSTM(2, return_sequences=True), Dense(4, activation="softmax"),
        loss="sparse_categorical_crossentropy",
    )  # fmt: skip
    y = rng.integers(0, 4, (B, T)).astype(float)
    y[ROW, STEP] = label
    origin = trouble(model, data(rng), y)
    assert (origin.quantity, origin.steps, origin.row) == ("label", (STEP,), NUMBERS[ROW])
    assert f"at row {NUMBERS[ROW]}, step {STEP}, which counts" in str(origin)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kept", [False, True])
def test_logits_that_are_infinite_behind_a_prediction_that_is_not(kept, backend, rng):
    """A sigmoid of inf is 1; the loss reads what goes into it."""
    head = Dense(2, activation="sigmoid", name="head")
    model = model_of(LSTM(3, return_sequences=True), head, loss="binary_crossentropy")
    kernel = np.zeros((3, 2), "f")
    kernel[0, 1] = 3e38
    head.set_weights([kernel, np.array([0, 3e38], "f")])
    lstm = model.layers[0]
    W, U, b = weights(rng, D, 3)
    W[:], U[:], b[:] = 0, 0, -20
    W[-1] = 40
    lstm.set_weights([W, U, b])
    x = data(rng)
    x[ROW, STEP:, -1] = 3
    y = np.zeros((B, T, 2), "f")
    with computing(backend):
        batch = model.batch("fit", x, y)._replace(numbers=NUMBERS)
        with np.errstate(all="ignore"):
            options = {"training": True, "keep_cache": True, "link": model.loss.link}
            forward = model.run(batch.x, **options)
            assert np.isfinite(forward.y).all()
        origin = find_non_finite(model, batch, model.loss, forward if kept else None)
    assert place(origin) == ("head", None, None, "z", (STEP,), NUMBERS[ROW])
    assert origin.unit == 1


@pytest.mark.parametrize("per_step", [False, True])
def test_a_loss_that_overflows(per_step, rng):
    """1e20 squared is more than float32 holds."""
    model = model_of(LSTM(2, return_sequences=per_step), Dense(1))
    y = np.zeros((B, T, 1) if per_step else (B, 1), "f")
    at = (ROW, STEP) if per_step else (ROW,)
    y[at] = 1e20
    origin = trouble(model, data(rng), y)
    assert (origin.quantity, origin.row) == ("loss", NUMBERS[ROW])
    assert origin.steps == ((STEP,) if per_step else ())
    assert "the target up to 1e+20" in origin.cause
    assert str(origin).startswith("the loss is inf. The first number that is not finite is the")


def test_a_penalty_that_overflows(rng):
    layer = LSTM(2, recurrent_regularizer="l2", name="held")
    model = model_of(layer, Dense(1))
    W, U, b = weights(rng, D, 2)
    U[1, 5] = 1e30
    U[1, [1, 3, 7]] = 0
    layer.set_weights([W, U, b])
    origin = trouble(model, np.zeros((B, T, D), "f"))
    assert (origin.quantity, origin.weight) == ("penalty", "held/recurrent_kernel")
    assert "is the penalty on held/recurrent_kernel: inf" in str(origin)


def test_an_activity_penalty_that_overflows(rng):
    layer = Dense(2, activity_regularizer="l2", name="loud")
    model = model_of(layer, LSTM(2), Dense(1))
    layer.set_weights([np.full((D, 2), 1e20, "f"), np.zeros(2, "f")])
    origin = trouble(model, np.ones((B, T, D), "f"))
    assert (origin.quantity, origin.layer) == ("activity penalty", "loud")


def test_what_dropout_dropped(rng):
    """The pass itself tells; run again, the batch may come out well, and it is said so."""
    layer = LSTM(3, return_sequences=True, name="it", **LINEAR)
    model = model_of(Dropout(0.5, seed=4), layer, Dense(1))
    W, U, b = weights(rng, D, 3)
    W[-1, UNIT] = 1e30
    layer.set_weights([W, U, b])
    x = data(rng)
    x[ROW, STEP, -1] = 1e20
    found = set()
    for _ in range(20):
        origin = trouble(model, x, kept=True)
        found.add((origin.quantity, origin.step, origin.row))
    assert found == {("z_i", STEP, NUMBERS[ROW]), ("unknown", None, None)}
    # Run again, it drops what the next batch would drop, and leaves that to it.
    before = model.dropout_state()
    sentences = set()
    for _ in range(20):
        origin = trouble(model, x)
        assert str(trouble(model, x)) == str(origin)
        sentences.add(str(origin))
        assert model.dropout_state() == before
        with np.errstate(all="ignore"):
            model(x, training=True)
        before = model.dropout_state()
    assert any("what dropout dropped" in sentence for sentence in sentences)
    assert any("the pre-activation z_i" in sentence for sentence in sentences)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_relu_lstm_that_diverges(backend, rng):
    """A real training with a learning rate that is too large, found where a loop finds it."""
    rng = np.random.default_rng(1)
    with computing(backend):
        lr.set_seed(3)
        lstm = LSTM(8, activation="relu", return_sequences=True, name="relu")
        model = model_of(lstm, Dense(1))
        x, y = rng.normal(size=(8, 40, D)).astype("f"), rng.normal(size=(8, 40, 1)).astype("f")
        for _ in range(20):
            with np.errstate(all="ignore"):
                value, gradients = model.loss_and_gradients(x, y)
            if np.isnan(value):
                break
            weights = model.trainable_params()
            model.assign_params({n: w - 5 * gradients[n] for n, w in weights.items()})
        assert np.isnan(value)
        origin = find_non_finite(model, model.batch("fit", x, y), model.loss)
    assert origin.layer == "relu"
    W, U, b = lstm.get_weights()
    assert all(np.isfinite(w).all() for w in model.get_weights())
    # The same by hand: which step is the first?
    h, c = np.zeros((8, 8), "f"), np.zeros((8, 8), "f")
    with np.errstate(all="ignore"):
        for t in range(40):
            z = x[:, t] @ W + h @ U + b
            i, f, g, o = split_gates(z)
            i, f, o = (1 / (1 + np.exp(-a)) for a in (i, f, o))
            c = f * c + i * np.maximum(g, 0)
            h = o * np.maximum(c, 0)
            bad = {"z": ~np.isfinite(z), "c": ~np.isfinite(c), "h": ~np.isfinite(h)}
            if any(a.any() for a in bad.values()):
                break
    assert abs(origin.step - t) <= 1  # sums in another order may overflow a step earlier or later
    assert "relu has no bound" in origin.cause
    assert "learning_rate" in origin.cause


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("wrapped", ["plain", "backwards", "both ways", "cells"])
def test_a_gradient_that_explodes(wrapped, backend, rng):
    """All states are 0, so the loss is finite, and on the way back U is multiplied again and again.

    The step is the one where the same gradient in float64, found by cutting the sequence, passes
    what float32 holds.
    """
    H, T = 3, 30
    options = {"return_sequences": True, "activation": "linear", "unit_forget_bias": False}
    make = {
        "plain": lambda: LSTM(H, **options, name="it"),
        "backwards": lambda: LSTM(H, **options, go_backwards=True, name="it"),
        "both ways": lambda: Bidirectional(LSTM(H, **options), merge_mode="sum", name="it"),
        "cells": lambda: RNN(
            [LSTMCell(H, activation="linear", unit_forget_bias=False, name="low"), LSTMCell(H)],
            return_sequences=True,
            name="it",
        ),
    }[wrapped]
    layer = make()
    model = model_of(layer, Activation("linear"))
    quiet = [np.zeros_like(w) for w in layer.get_weights()]
    place_of_u = {"plain": 1, "backwards": 1, "both ways": 4, "cells": 1}[wrapped]
    U = rng.normal(size=(H, 4 * H)).astype("f") * 1e4
    quiet[place_of_u] = U
    if wrapped == "cells":
        quiet[3] = rng.normal(size=(H, 4 * H)).astype("f")  # the way from the upper cell down
        quiet[3] *= 1e-3
    layer.set_weights(quiet)
    x, y = np.zeros((B, T, D), "f"), np.zeros((B, T, H), "f")
    last = 0 if wrapped == "both ways" else -1  # the output behind which all steps lie
    at = (ROW, slice(None) if wrapped == "cells" else last)
    y[at] = rng.normal(size=y[at].shape)
    y[0, at[1]] = 1e-20 * y[at]  # passes what float32 holds some steps later
    with computing(backend), np.errstate(all="ignore"):
        value, gradients = model.loss_and_gradients(x, y)
        assert np.isfinite(value)
        assert not all(np.isfinite(g).all() for g in gradients.values())
        new = {n: w - 0.1 * gradients[n] for n, w in model.trainable_params().items()}
        batch = model.batch("fit", x, y)._replace(numbers=NUMBERS)
        origin = find_bad_update(model, batch, model.loss, new)
    assert origin.layer == "it"
    assert origin.direction == ("backward" if wrapped == "both ways" else None)
    assert origin.cell == ("low" if wrapped == "cells" else None)
    assert origin.row == NUMBERS[ROW]
    assert origin.quantity in ("d_h", "d_c", "d_z_g")
    assert str(origin).startswith(f"the loss is {value:.3g}, and its update makes the weight")

    backwards = wrapped in ("backwards", "both ways")
    passed = origin.step if backwards else T - 1 - origin.step
    if wrapped == "cells":  # which meets a gradient at every step
        assert 5 < passed < T
    else:
        params = lr.LSTMParams(np.zeros((1, 4 * H)), U.astype(float))
        d_y = -2 * y[[ROW], last].astype(float) / y.size
        sizes = []
        for steps in range(T):  # the gradient on the state so many steps before
            run = lr.lstm_forward(np.zeros((1, steps, 1)), params, lr.LSTMConfig("linear"),
                                  keep_cache=True, backend="numpy")  # fmt: skip
            sizes.append(np.abs(lr.lstm_backward(None, d_y, None, run.cache).d_h0).max())
        assert passed == int(np.argmax(np.array(sizes) > np.finfo("f").max))
        assert passed > 5
    assert "d_h| was up to" in origin.cause
    with computing(backend):
        assert explain_bad_update(model, batch, model.loss, new) == str(origin)


def test_an_update_of_a_loss_that_is_infinite(rng):
    """The way there is looked at first."""
    layer = LSTM(3, return_sequences=True, name="it", **LINEAR)
    model = model_of(layer, Dense(1))
    W, U, b = weights(rng, D, 3)
    split_gates(W)[1][-1, UNIT] = 1e30
    layer.set_weights([W, U, b])
    x = data(rng)
    x[ROW, STEP, -1] = 1e20
    batch = model.batch("fit", x, np.zeros((B, T, 1), "f"))._replace(numbers=NUMBERS)
    new = {"it/kernel": np.full((D, 12), np.nan, "f")}
    origin = find_bad_update(model, batch, model.loss, new)
    assert place(origin) == ("it", None, None, "z_f", (STEP,), NUMBERS[ROW])
    assert "and its update makes the weight it/kernel nan. The first" in str(origin)


def test_the_gradient_of_the_loss_itself(rng):
    """MSE is 1e38, and finite; with the sum over a row as K its derivative is too large."""

    class Steep(lr.losses.MeanSquaredError):
        def gradient(self, *arguments):
            d_y = super().gradient(*arguments)
            d_y[ROW, STEP, 0] = np.inf
            return d_y

    model = model_of(LSTM(2, return_sequences=True), Dense(1, name="head"), loss=Steep())
    x, y = data(rng), np.zeros((B, T, 1), "f")
    batch = model.batch("fit", x, y)._replace(numbers=NUMBERS)
    new = {"head/kernel": np.full((2, 1), np.nan, "f")}
    origin = find_bad_update(model, batch, model.loss, new)
    assert place(origin) == ("head", None, None, "d_y", (STEP,), NUMBERS[ROW])


def test_an_update_of_finite_gradients(rng):
    model = model_of(LSTM(2, return_sequences=True, name="it"), Dense(1))
    x, y = data(rng), np.zeros((B, T, 1), "f")
    new = {name: weight.copy() for name, weight in model.trainable_params().items()}
    new["it/kernel"][1, 5] = -np.inf
    batch = model.batch("fit", x, y)
    origin = find_bad_update(model, batch, model.loss, new)
    assert (origin.quantity, origin.weight, origin.index) == ("new weight", "it/kernel", (1, 5))
    assert origin.value == -np.inf
    _, gradients = model.loss_and_gradients(x, y)
    assert f"Its gradient is finite, {gradients['it/kernel'][1, 5]:.3g} there" in origin.cause
    with pytest.raises(ValueError, match="and they are finite"):
        find_bad_update(model, batch, model.loss, model.trainable_params())


def test_the_gradient_of_a_penalty(rng):
    class Steep(lr.regularizers.L2):
        def gradient(self, weight):
            return np.where(np.arange(weight.size) == 3, np.inf, 0).reshape(weight.shape)

    model = model_of(LSTM(2, bias_regularizer=Steep(0.1), name="it"), Dense(1))
    batch = model.batch("fit", data(rng), np.zeros((B, 1), "f"))
    new = {"it/bias": np.full(8, np.inf, "f")}
    origin = find_bad_update(model, batch, model.loss, new)
    assert (origin.quantity, origin.weight, origin.index) == ("gradient", "it/bias", (3,))
    assert "The regularizer of the weight makes it" in origin.cause


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_whether_all_is_finite(value):
    arrays = [np.full((2, 3), 1e38, "f"), np.full(4, 1e308)]
    assert all_finite(arrays)
    arrays[1][3] = value
    assert not all_finite(arrays)


def test_a_sum_of_finite_gradients(rng):
    """Each row gives 2e38 to one bias."""

    class Steep(lr.losses.MeanSquaredError):
        def gradient(self, *arguments):
            return np.full_like(super().gradient(*arguments), 2e38)

    model = model_of(LSTM(2), Dense(1, name="head"), loss=Steep())
    for layer in model.layers:
        layer.set_weights([w * 0 for w in layer.get_weights()])
    batch = model.batch("fit", data(rng), np.zeros((B, 1), "f"))
    new = {"head/bias": np.full(1, np.inf, "f")}
    origin = find_bad_update(model, batch, model.loss, new)
    assert (origin.quantity, origin.weight, origin.index) == ("gradient", "head/bias", (0,))
    assert "is the gradient on head/bias at [0]: inf. The gradients of all rows" in str(origin)


def test_the_sentence_is_that_of_the_record(rng):
    model = model_of(LSTM(2), Dense(1))
    x = data(rng)
    x[ROW, STEP, 1] = np.nan
    batch = model.batch("fit", x, np.zeros((B, 1), "f"))
    sentence = explain_non_finite(model, batch, model.loss)
    assert sentence == str(find_non_finite(model, batch, model.loss))
    assert sentence.startswith(
        "the loss is nan. The first number that is not finite is the input x of layer 'lstm' at "
        "step 4, row 3, unit 1: nan. The data hold it"
    )
