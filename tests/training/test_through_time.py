"""The gradients on every h_t and c_t: against the loss itself, and against the backward pass."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_ref import LSTMConfig, lstm_backward, lstm_forward
from lstm_ref.conventions import split_gates, split_peepholes
from lstm_ref.layers import (
    LSTM,
    RNN,
    Bidirectional,
    Dense,
    LSTMCell,
    TimeDistributed,
)
from lstm_ref.spec.activations import activate
from lstm_ref.spec.cell import cell_forward
from lstm_ref.training.through_time import cell_gradients, cell_runs, state_gradients
from tests.cases import BACKENDS, DROPOUTS, MASKS, make_case

SMOOTH = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32 - 1),
        "sizes": st.tuples(*(st.integers(1, n) for n in (3, 6, 4, 5))),
        "mask": st.sampled_from(MASKS),
        "masked_output": st.sampled_from(("hold", "zero")),
        "go_backwards": st.booleans(),
        "peephole": st.booleans(),
        "projection": st.one_of(st.none(), st.integers(1, 6)),
        "dropout": st.sampled_from(DROPOUTS),
        "input_forget": st.booleans(),
        "recurrent_activation": st.sampled_from(("sigmoid", "tanh")),
        "output_activation": st.sampled_from((None, "softsign")),
    }
)
"""Arguments of `make_case` without kinks, so that differences have all their digits."""


def loss_with_a_push(cache, d_hs, name, at, push):
    """The loss Σ hs·d_hs, run by hand, with h_t or c_t moved a little at one step of one row."""
    params, config = cache.params, cache.config
    B, T, _ = cache.x.shape
    h, c, y, loss = cache.h0.copy(), cache.c0.copy(), np.zeros_like(cache.h0), 0.0
    row, step, unit = at
    for t in range(T):
        h_t, c_t, z, _ = cell_forward(cache.x[:, t], h, c, params, config, cache.dropout)
        here = np.zeros_like(h_t if name == "h" else c_t)
        if t == step:
            here[row, unit] = push
        m = np.ones((B, 1), bool) if cache.mask is None else cache.mask[:, t, None]
        if name == "c":
            z_o = split_gates(z)[3]
            if params.peephole is not None:
                z_o = z_o + split_peepholes(params.peephole)[2] * here
            o = activate(config.recurrent_activation, z_o)
            c_t = c_t + here
            h_t = o * activate(config.activation_of_output, c_t)
            if params.projection is not None:
                h_t = h_t @ params.projection
        else:
            h_t = h_t + here
        y = np.where(m, h_t, y if config.masked_output == "hold" else 0)
        # At a masked step there is no h_t: what is moved there is the state that holds.
        h = np.where(m, h_t, h + (here if name == "h" else 0))
        c = np.where(m, c_t, c + (here if name == "c" else 0))
        loss += float(np.sum(y * d_hs[:, t]))
    return loss


@settings(max_examples=100)
@given(case=SMOOTH, data=st.data())
def test_moving_a_state_moves_the_loss_as_its_gradient_says(case, data):
    case = make_case(**case)
    cache = case.forward("numpy").cache
    found = state_gradients(case.d_hs, cache)
    name = data.draw(st.sampled_from(("h", "c")))
    gradient = found.d_h if name == "h" else found.d_c
    at = tuple(data.draw(st.integers(0, n - 1)) for n in gradient.shape)
    step = 1e-3
    f = {k: loss_with_a_push(cache, case.d_hs, name, at, k * step) for k in (-2, -1, 1, 2)}
    slope = (8 * (f[1] - f[-1]) - (f[2] - f[-2])) / (12 * step)
    scale = max(1.0, float(np.max(np.abs(gradient))))
    assert gradient[at] == pytest.approx(slope, rel=0, abs=1e-8 * scale)


@settings(max_examples=60)
@given(case=SMOOTH, backend=st.sampled_from(BACKENDS), clip=st.sampled_from((None, 0.4)))
def test_they_are_those_of_the_backward_pass(case, backend, clip):
    """Its weights' gradients follow from d_z; what it gives at h0 is what a later part gives."""
    case = make_case(**case, clip=clip)
    cache = case.forward(backend).cache
    found = state_gradients(case.d_hs, cache)
    expected = lstm_backward(case.d_hs, None, None, cache)
    T = cache.x.shape[1]
    tolerance = {"rtol": 1e-12, "atol": 1e-12}
    if cache.params.bias is not None:
        np.testing.assert_allclose(found.d_z.sum(axis=(0, 1)), expected.d_bias, **tolerance)
    if cache.dropout is None:
        d_kernel = np.einsum("btd,btz->dz", cache.x, found.d_z)
        np.testing.assert_allclose(d_kernel, expected.d_kernel, **tolerance)
    for t in range(T if cache.mask is None else 0):  # what only comes after step t
        config = LSTMConfig(**{**vars(cache.config), "go_backwards": False})
        later = lstm_forward(
            cache.x[:, t + 1 :], cache.params, config, None, cache.h[:, t], cache.c[:, t], True,
            dropout=cache.dropout,
        )  # fmt: skip
        d_h0 = lstm_backward(case.d_hs[:, t + 1 :], None, None, later.cache).d_h0
        np.testing.assert_allclose(found.d_h[:, t], d_h0 + case.d_hs[:, t], **tolerance)


def test_the_first_step_leads_to_the_initial_state(rng):
    """With c_0 far from all gates but f, d c_0 = f_1 d c_1 + what the peepholes send."""
    case = make_case(3, (2, 4, 3, 5))
    cache = case.forward("numpy").cache
    found = state_gradients(case.d_hs, cache)
    expected = lstm_backward(case.d_hs, None, None, cache)
    f = split_gates(cache.gates[:, 0])[1]
    np.testing.assert_allclose(found.d_c[:, 0] * f, expected.d_c0, rtol=1e-12)
    d_h0 = found.d_z[:, 0] @ cache.params.recurrent_kernel.T
    np.testing.assert_allclose(d_h0, expected.d_h0, rtol=1e-12)


@pytest.mark.parametrize("masked_output", ["hold", "zero"])
def test_every_state_around_a_gap(masked_output):
    """With a peephole and tanh gates, whose derivative at the 0 of a masked step is not 0."""
    options = {"peephole": True, "recurrent_activation": "tanh", "masked_output": masked_output}
    case = make_case(5, (2, 4, 2, 2), mask="all real", **options)
    case.mask[0, 1:3], case.mask[1, 0] = False, False
    cache = case.forward("numpy").cache
    found = state_gradients(case.d_hs, cache)
    step = 1e-3
    for name, gradient in (("h", found.d_h), ("c", found.d_c)):
        for at in np.ndindex(gradient.shape):
            f = {k: loss_with_a_push(cache, case.d_hs, name, at, k * step) for k in (-2, -1, 1, 2)}
            slope = (8 * (f[1] - f[-1]) - (f[2] - f[-2])) / (12 * step)
            assert gradient[at] == pytest.approx(slope, rel=1e-8, abs=1e-9), (name, at)


def test_no_steps_and_no_rows():
    for sizes in ((2, 0, 3, 4), (0, 3, 3, 4)):
        case = make_case(1, sizes, mask="right")
        found = state_gradients(case.d_hs, case.forward("numpy").cache)
        assert found.d_c.shape == (*sizes[:2], 4)


LAYERS = {
    "lstm": (lambda: LSTM(3, return_sequences=True), [()]),
    "last output": (lambda: LSTM(3), [()]),
    "last output, backwards": (lambda: LSTM(3, go_backwards=True), [()]),
    "cells": (
        lambda: RNN([LSTMCell(4, name="low"), LSTMCell(3, name="high")], return_sequences=True),
        [("low",), ("high",)],
    ),
    "cells backwards": (
        lambda: RNN([LSTMCell(4, name="low"), LSTMCell(3, name="high")], go_backwards=True),
        [("low",), ("high",)],
    ),
    "both ways": (
        lambda: Bidirectional(LSTM(3, return_sequences=True), merge_mode="mul"),
        [("forward",), ("backward",)],
    ),
    "both ways, last output": (
        lambda: Bidirectional(RNN([LSTMCell(2, name="low"), LSTMCell(3, name="high")])),
        [(d, c) for d in ("forward", "backward") for c in ("low", "high")],
    ),
    "none": (lambda: Dense(2), []),
}


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kind", LAYERS)
def test_every_cell_of_a_layer(rng, kind, masked):
    """In the order in which they run; d_z of each makes the gradients the layer gives."""
    make, places = LAYERS[kind]
    layer = make()
    x = rng.normal(size=(4, 6, 2)).astype("f")
    mask = None
    if masked:
        mask = np.array([[1] * 6, [1] * 3 + [0] * 3, [0, 1, 0, 1, 1, 0], [0] * 6], bool)
    layer.build(x.shape)
    y, cache = layer.forward(x, mask, False, keep_cache=True)
    assert [run.place for run in cell_runs(layer, cache)] == places
    d_y = rng.normal(size=y.shape).astype("f")
    found = list(cell_gradients(layer, d_y, cache))
    assert [run.place for run, _ in found] == places[::-1]
    _, gradients = layer.backward(d_y, cache)
    biases = [gradients[name] for name in layer.params if name.endswith("bias")][: len(places)]
    for (run, of_run), d_bias in zip(reversed(found), biases, strict=True):
        np.testing.assert_allclose(of_run.d_z.sum(axis=(0, 1)), d_bias, rtol=2e-5, atol=2e-6)
        assert run.backwards == ("backwards" in kind or run.direction == "backward")


def test_a_layer_inside_time_distributed(rng):
    layer = TimeDistributed(LSTM(3))
    x = rng.normal(size=(2, 4, 5, 2)).astype("f")
    layer.build(x.shape)
    y, cache = layer.forward(x, None, False, keep_cache=True)
    d_y = rng.normal(size=y.shape).astype("f")
    ((run, found),) = cell_gradients(layer, d_y, cache)
    assert run.cache.h.shape == (8, 5, 3)
    _, gradients = layer.backward(d_y, cache)
    np.testing.assert_allclose(found.d_z.sum(axis=(0, 1)), gradients["bias"], rtol=1e-5, atol=1e-6)
