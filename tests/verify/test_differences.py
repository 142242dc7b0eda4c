"""The judge is judged: slopes of functions whose derivative is known."""

import math

import pytest

from lstm_ref.verify.differences import STEPS, compare_slope

RTOL = 1e-6


def compare(f, claimed, **options):
    return compare_slope(f, claimed, rtol=RTOL, floor=0.0, **options)


@pytest.mark.parametrize(
    ("f", "slope"),
    [
        (math.exp, 1.0),
        (lambda s: math.tanh(s + 0.3), 1 - math.tanh(0.3) ** 2),
        (lambda s: 10 + math.sin(s), 1.0),
        (lambda s: 1e-9 * math.sin(s), 1e-9),
        (lambda s: (1 + s) ** 4, 4.0),
        (lambda s: s**2, 0.0),
        (lambda s: 5.0, 0.0),
    ],
)
def test_the_right_slope_agrees_and_a_slightly_wrong_one_does_not(f, slope):
    right = compare(f, slope)
    assert right.relative_error < RTOL
    assert not right.kink
    wrong = compare(f, slope * (1 + 10 * RTOL) + 1e-3 * (slope == 0))
    assert wrong.relative_error > RTOL
    assert not wrong.kink
    assert math.isclose(wrong.numeric, slope, rel_tol=RTOL, abs_tol=1e-9)


def test_the_first_step_gives_ten_digits_of_a_smooth_function():
    steps = []

    def f(s):
        steps.append(abs(s))
        return math.exp(2 * s)

    assert compare(f, 2.0).relative_error < 1e-10
    assert max(steps) == 2 * STEPS[0]
    assert len(steps) == 7


def test_steep_functions_are_seen_with_smaller_steps():
    assert compare(lambda s: math.tanh(3000 * s), 3000.0).relative_error < RTOL
    assert compare(lambda s: math.tanh(s / 3000), 1 / 3000, scale=3000).relative_error < RTOL


@pytest.mark.parametrize("place", [3e-4, -3e-5, 3e-6, -1e-6, 3e-7, 1e-10])
def test_a_kink_beside_the_point_does_not_matter(place):
    def f(s):  # slope 1 before the kink, 3 behind it
        return s * math.exp(s) + 2 * max(s - place, 0.0)

    slope = 1.0 if place > 0 else 3.0
    assert compare(f, slope).relative_error < RTOL
    wrong = compare(f, 0.999)
    assert wrong.relative_error > RTOL
    assert not wrong.kink


@pytest.mark.parametrize("claimed", [0.0, 0.3, 1.0])
def test_at_a_kink_every_slope_between_its_sides_is_right(claimed):
    slope = compare(lambda s: max(s, 0.0) + 0.1 * s * s, claimed)
    assert slope.kink


@pytest.mark.parametrize("claimed", [-0.1, 1.1])
def test_at_a_kink_no_other_slope_is_right(claimed):
    slope = compare(lambda s: max(s, 0.0), claimed)
    assert slope.relative_error > RTOL
    assert not slope.kink


@pytest.mark.parametrize("claimed", [1.0, math.nan, math.inf])
@pytest.mark.parametrize("value", [math.nan, math.inf, 1.0])
def test_what_is_no_number_never_agrees(claimed, value):
    slope = compare(lambda s: value, claimed)
    assert not slope.relative_error <= RTOL
    assert not slope.kink
