"""The flow of a gradient: against the loss itself where it can be moved, and against by-hand sums.

A cell whose gates do not look at the state has a flow that can be written down: f is a constant,
and so |∂c_t| falls by f a step.
"""

import numpy as np
import pytest

import lstm_ref as lr
from lstm_ref.errors import ShapeError
from lstm_ref.layers import (
    LSTM,
    RNN,
    Bidirectional,
    Dense,
    Dropout,
    Input,
    LSTMCell,
    Masking,
    TimeDistributed,
)
from lstm_ref.verify import gradient_flow
from tests.cases import BACKENDS, computing

B, T, D = 3, 6, 2


def model_of(*layers, loss="mse", shape=(None, D)):
    model = lr.Sequential([Input(shape), *layers])
    model.compile("sgd", loss)
    return model


def constant_gates(layer, f, H=1):
    """Weights with which the forget gate is ``f`` always, i is 1/2, o is 1/2, and U is 0."""
    for cell in layer.cells:
        W = np.full((cell.params["kernel"].shape[0], 4 * H), 0.0)
        W[:, 2 * H : 3 * H] = 0.3
        b = np.repeat([0, np.log(f / (1 - f)), 0.1, 0], H)
        cell.set_weights([W, np.zeros((H, 4 * H)), b])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("f", [0.5, 0.9, 0.999])
def test_through_the_cell_alone_a_step_multiplies_by_f(f, backwards, backend, rng):
    layer = LSTM(1, go_backwards=backwards, name="it")
    model = model_of(layer)
    constant_gates(layer, f)
    with computing(backend):
        flow = gradient_flow(model, rng.normal(size=(B, T, D)), rng.normal(size=(B, 1)))["it"]
    steps = np.arange(T) if backwards else np.arange(T)[::-1]  # after step t
    np.testing.assert_allclose(flow.forget_product, f**steps, rtol=1e-6)
    first = flow.d_c[0 if backwards else -1]
    np.testing.assert_allclose(flow.d_c, first * f**steps, rtol=1e-6)
    # h goes nowhere: only the last one is seen by the loss.
    np.testing.assert_array_equal(np.flatnonzero(flow.d_h), [0 if backwards else T - 1])
    assert flow.backwards == backwards


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_the_product_of_the_forget_gates_after_each_step(masked, backwards, rng):
    """By hand, a row and a unit at a time. A masked step has no gate."""
    H = 3
    layer = LSTM(H, return_sequences=True, go_backwards=backwards, dtype="float64", name="it")
    model = lr.Sequential([Input((T, D), dtype="float64"), Masking(dtype="float64"), layer])
    model.compile("sgd", "mse")
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    x = rng.normal(size=(B, T, D))
    if masked:
        x[0, 3], x[1, 4:], x[2, :2] = 0, 0, 0
    flow = gradient_flow(model, x, rng.normal(size=(B, T, H)))["it"]
    W, U, b = layer.get_weights()
    order = range(T)[::-1] if backwards else range(T)
    left = np.full((B, T), np.nan)
    for row in range(B):
        h, c, f = np.zeros(H), np.zeros(H), {}
        for t in order:
            if x[row, t].any():
                z_i, z_f, z_g, z_o = (x[row, t] @ W + h @ U + b).reshape(4, H)
                i, f[t], o = (1 / (1 + np.exp(-z)) for z in (z_i, z_f, z_o))
                c = f[t] * c + i * np.tanh(z_g)
                h = o * np.tanh(c)
        steps = list(f)  # in the order of processing
        for n, t in enumerate(steps):
            left[row, t] = np.mean([np.prod([f[s][u] for s in steps[n + 1 :]]) for u in range(H)])
    np.testing.assert_allclose(flow.forget_product, np.nanmean(left, axis=0), rtol=1e-12)


@pytest.mark.parametrize("masked", [False, True])
def test_the_loss_moves_as_the_gradient_on_a_state_says(masked, rng):
    """Each h_t and c_t of a stateful layer is the state that another batch begins from."""
    H = 3
    lower = LSTM(H, return_sequences=True, stateful=True, dtype="float64", name="it")
    model = lr.Sequential(
        [
            Input(batch_shape=(1, None, D), dtype="float64"),
            Masking(dtype="float64"),
            lower,
            Dense(2, dtype="float64"),
        ]
    )
    model.compile("sgd", lr.losses.MeanSquaredError(reduction="sum"))
    x, y = rng.normal(size=(1, T, D)), rng.normal(size=(1, T, 2))
    if masked:
        x[0, 1:3] = 0
    flow = gradient_flow(model, x, y)["it"]
    for t in range(T - 1):
        if masked and t in (1, 2):
            assert np.isnan([flow.d_h[t], flow.d_c[t], flow.forget_product[t]]).all()
            continue
        later = slice(t + 1, T)
        model.reset_states()
        model.predict(x[:, : t + 1], batch_size=1, verbose=0)
        h, c = (state.copy() for state in lower.states)

        def loss(h=h, c=c, later=later, t=t):
            """What h_t and c_t still decide: the output at step t and all later ones."""
            head = model.layers[-1]
            real = np.any(x[:, later], -1)
            run = lr.lstm_forward(x[:, later], lower.core_params, None, real, h, c)
            held = np.concatenate([h[:, None], run.hs], axis=1)[0]
            y_pred = held @ head.kernel + head.bias
            m = np.array([True, *real[0]])
            return float(np.sum(np.mean((y_pred - y[0, t:]) ** 2, -1)[m]))

        slopes = []
        for unit in range(H):
            push = np.zeros((1, H))
            push[0, unit] = 1e-3
            f = {k: loss(h=h + k * push) for k in (-2, -1, 1, 2)}
            slopes.append((8 * (f[1] - f[-1]) - (f[2] - f[-2])) / 12e-3)
        assert flow.d_h[t] == pytest.approx(np.linalg.norm(slopes), rel=1e-8)


def test_means_over_the_rows_that_are_real(rng):
    """A row more of padding leaves the flow at its steps to the other rows."""
    layer = LSTM(3, return_sequences=True, name="it")
    model = model_of(Masking(), layer, Dense(1), loss=lr.losses.MeanSquaredError(reduction="sum"))
    x, y = rng.normal(size=(4, T, D)), rng.normal(size=(4, T, 1))
    x[1, 4:], x[2, :3], x[3] = 0, 0, 0
    flow = gradient_flow(model, x, y)["it"]
    alone = [gradient_flow(model, x[[n]], y[[n]])["it"] for n in range(4)]
    for quantity in ("d_h", "d_c", "forget_product"):
        each = np.array([getattr(of, quantity) for of in alone])
        assert np.array_equal(np.isnan(each), ~x.any(-1))
        np.testing.assert_allclose(
            getattr(flow, quantity), np.nanmean(each, axis=0), rtol=1e-12, err_msg=quantity
        )
    x[:, 2] = 0
    assert np.flatnonzero(np.isnan(gradient_flow(model, x, y)["it"].d_c)) == [2]


def test_every_lstm_of_a_model_by_name(rng):
    cells = [LSTMCell(2, name="low"), LSTMCell(3, name="high")]
    model = model_of(
        LSTM(3, return_sequences=True, name="first"),
        Dropout(0.5),
        Bidirectional(LSTM(2, return_sequences=True), name="two"),
        Bidirectional(RNN(cells, return_sequences=True), merge_mode="ave", name="deep"),
        RNN(cells, go_backwards=True, return_sequences=True, name="cells"),
        TimeDistributed(Dense(4)),
        LSTM(2, name="last"),
        Dense(1),
    )
    flows = gradient_flow(model, rng.normal(size=(B, T, D)), rng.normal(size=(B, 1)))
    assert list(flows) == [
        "first",
        *("two/forward", "two/backward"),
        *("deep/forward/low", "deep/forward/high", "deep/backward/low", "deep/backward/high"),
        *("cells/low", "cells/high"),
        "last",
    ]
    backwards = {name for name, flow in flows.items() if flow.backwards}
    assert backwards == {name for name in flows if "backward" in name or "cells" in name}
    for flow in flows.values():
        for values in (flow.d_h, flow.d_c, flow.forget_product):
            assert values.shape == (T,)
            assert (values > 0).all()
        assert flow.forget_product[0 if flow.backwards else -1] == 1


def test_an_lstm_inside_time_distributed(rng):
    """Its rows are all steps of all rows."""
    inner = LSTM(2)
    model = model_of(TimeDistributed(inner, name="each"), shape=(None, T, D))
    constant_gates(inner, 0.7, H=2)
    flow = gradient_flow(model, rng.normal(size=(B, 4, T, D)), rng.normal(size=(B, 4, 2)))["each"]
    np.testing.assert_allclose(flow.forget_product, 0.7 ** np.arange(T)[::-1], rtol=1e-6)


def test_the_model_stays_as_it_is(rng):
    layer = LSTM(3, stateful=True, dropout=0.5, seed=1, name="it")
    model = lr.Sequential([Input(batch_shape=(B, T, D)), layer])
    model.compile("sgd", "mse")
    x, y = rng.normal(size=(B, T, D)), rng.normal(size=(B, 3))
    weights = model.get_weights()
    twice = [gradient_flow(model, x, y)["it"] for _ in range(2)]
    np.testing.assert_array_equal(twice[0].d_c, twice[1].d_c)
    assert layer.dtype == "float32"
    assert not np.any(layer.states)
    for old, new in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_gradient_that_fades_a_long_way_is_not_lost(rng):
    """1e-50 is 0 in float32."""
    layer = LSTM(1, name="it")
    model = model_of(layer)
    constant_gates(layer, 0.001)
    x = rng.normal(size=(B, 40, D))
    flow = gradient_flow(model, x, rng.normal(size=(B, 1)))["it"]
    assert 0 < flow.d_c[0] < 1e-100
    assert flow.forget_product[0] == pytest.approx(0.001**39, rel=1e-4)


def test_what_does_not_fit_is_told(rng):
    x = rng.normal(size=(B, T, D))
    with pytest.raises(ShapeError):
        gradient_flow(model_of(LSTM(2)), x, np.zeros((B, 3)))
    with pytest.raises(ValueError, match="compile"):
        gradient_flow(lr.Sequential([LSTM(2)]), x, np.zeros((B, 2)))
    assert gradient_flow(model_of(Dense(1)), x, np.zeros((B, T, 1))) == {}
