"""The backward pass against central differences of the forward pass, with nobody else's help."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lstm_ref as lr
from lstm_ref.spec import lstm
from lstm_ref.spec.activations import ACTIVATIONS
from tests.cases import CASES, OPTIONS, Case, make_case, present

KINKED = ("relu", "hard", "sparse", "threshold", "soft_shrink")  # in the names
SMOOTH = [
    n for n in ACTIVATIONS if not any(part in n for part in KINKED) and n not in ("elu", "selu")
]


def slots(case: Case) -> dict[str, np.ndarray]:
    """What has a gradient, by the gradient's name."""
    found = {"d_x": np.nan_to_num(case.x), "d_h0": case.h0, "d_c0": case.c0}
    found |= {f"d_{name}": weight for name, weight in vars(case.params).items()}
    return {name: value for name, value in found.items() if value is not None}


def loss_at(case: Case, moved: dict[str, np.ndarray]) -> Any:
    """The loss with those slots replaced, in extended precision."""
    wide = {name: value.astype(np.longdouble) for name, value in (slots(case) | moved).items()}
    params = lr.LSTMParams(*(wide.get(f"d_{name}") for name in vars(case.params)))
    states = {"h0": wide.get("d_h0"), "c0": wide.get("d_c0")}
    return case.loss(x=wide["d_x"], params=params, **states)


SMOOTH_ROLES = st.sampled_from(("tanh", "softplus", ("scaled_tanh", 1.2, 0.7)))


@settings(max_examples=100)
@given(
    arguments=CASES,
    options=st.one_of(st.just({}), OPTIONS),
    roles=st.tuples(SMOOTH_ROLES, SMOOTH_ROLES),
)
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_gradients_are_slopes_in_a_random_direction(
    backend: str, arguments: dict[str, Any], options: dict[str, Any], roles: tuple[Any, Any]
) -> None:
    """One direction through all entries at once; extended precision makes it sharp.

    Nothing has a kink here but the clip, and a sum that comes within a step of it is none of these.
    """
    smooth = {"activation": roles[0], "recurrent_activation": "sigmoid"}
    if options:
        smooth["output_activation"] = roles[1]
    case = make_case(**arguments | options | smooth)
    gradients = vars(case.backward(case.forward(backend)))
    rng = np.random.default_rng(arguments["seed"])
    step = np.longdouble(1e-6)
    for name, value in slots(case).items():
        direction = rng.normal(size=value.shape)
        if name == "d_x" and case.mask is not None:
            direction[~case.mask] = 0
        ends = [loss_at(case, {name: value + sign * step * direction}) for sign in (1, -1)]
        slope = float((ends[0] - ends[1]) / (2 * step))
        analytic = float(np.sum(gradients[name] * direction))
        scale = np.abs(gradients[name] * direction).sum() + 1e-3
        assert abs(analytic - slope) < 1e-9 * scale, name


@pytest.mark.parametrize("activation", SMOOTH)
@pytest.mark.parametrize("role", ["activation", "recurrent_activation"])
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_every_entry_is_a_slope(backend: str, role: str, activation: str) -> None:
    """Elementwise on a small case, for every smooth activation in each of the two roles."""
    case = make_case(3, (2, 3, 2, 3), mask="right", **{role: activation})
    gradients = vars(case.backward(case.forward(backend)))
    step = 1e-6
    for name, value in slots(case).items():
        for n in range(value.size):
            ends = []
            for sign in (1, -1):
                moved = value.astype(np.longdouble)
                moved.reshape(-1)[n] += sign * step
                ends.append(loss_at(case, {name: moved}))
            slope = float((ends[0] - ends[1]) / (2 * step))
            got = gradients[name].reshape(-1)[n]
            assert abs(got - slope) < 2e-9 * (1 + abs(slope)), f"{name} entry {n}"


def test_directional_check_on_a_large_case() -> None:
    """256 units, 50 steps: the same check costs two forward passes whatever the size."""
    case = make_case(4, (3, 50, 20, 256), mask="right")
    gradients = vars(case.backward(case.forward("numba")))
    rng = np.random.default_rng(5)
    step = 1e-5
    for name, value in slots(case).items():
        direction = rng.normal(size=value.shape) / np.sqrt(value.size)
        if name == "d_x":
            direction[~case.mask] = 0
        ends = []
        for sign in (1, -1):
            moved = slots(case) | {name: value + sign * step * direction}
            params = lr.LSTMParams(moved["d_kernel"], moved["d_recurrent_kernel"], moved["d_bias"])
            out = case.forward("numba", x=moved["d_x"], params=params, h0=moved["d_h0"],
                               c0=moved["d_c0"], keep_cache=False)  # fmt: skip
            ends.append(sum(np.sum(y * d) for y, d in zip(
                (out.hs, out.h, out.c), (case.d_hs, case.d_h, case.d_c), strict=True)))  # fmt: skip
        slope = (ends[0] - ends[1]) / (2 * step)
        analytic = np.sum(gradients[name] * direction)
        assert abs(analytic - slope) < 1e-6 * max(abs(slope), 1), name


def test_the_specification_runs_in_extended_precision() -> None:
    case = make_case(6, (2, 5, 3, 4), mask="scattered", peephole=True, projection=3, clip=1.0)
    wide = {n: v.astype(np.longdouble) for n, v in slots(case).items()}
    params = lr.LSTMParams(*(wide.get(f"d_{name}") for name in vars(case.params)))
    out = lstm.lstm_forward(
        wide["d_x"], params, case.config, case.mask, wide["d_h0"], wide["d_c0"], True
    )
    gradients = lstm.lstm_backward(
        *(d.astype(np.longdouble) for d in (case.d_hs, case.d_h, case.d_c)), out.cache
    )
    assert {out.hs.dtype, *(g.dtype for g in present(gradients).values())} == {
        np.dtype(np.longdouble)
    }
    np.testing.assert_allclose(case.forward("numpy").hs, out.hs.astype(float), atol=1e-15)
