"""Spec and kernels cannot drift apart: registry, equation tags, and a fuzz of every pair."""

import inspect
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lstm_ref
from lstm_ref.backend import TWINS
from lstm_ref.conventions import EQUATIONS
from lstm_ref.spec.activations import ACTIVATIONS, ActivationId
from tests.cases import MASKS, OPTIONS, make_case

PACKAGE = Path(lstm_ref.__file__).parent

WITHIN = {
    "activations": {*(a.function.__name__ for a in ACTIVATIONS.values()),
                    *(a.derivative.__name__ for a in ACTIVATIONS.values()),
                    "normal_cdf", "erfc", "exp_as_fraction", "activation_id", "formula"},
    "cell": {"cell_forward", "cell_backward", "through_gate"},
    "dropout": {"into_gates", "out_of_gates", "weights_gradient", "as_rows"},
    "lstm": {"before_each_step", "peephole_gradient"},
    "dense": set(),
    "softmax": {"largest"},
}  # fmt: skip
"""Functions of the specification without a twin of their own: parts of one, or shared."""


WITH_PARAMETERS = [
    ("leaky_relu", 0.01),
    ("thresholded_relu", 0.5),
    ("affine", -1.5, 0.3),
    ("hard_sigmoid_keras2", 0.3, 0.4),
    ("scaled_tanh", 1.7, 0.6),
    ("elu", 0.3),
    ("soft_shrink", 1.0),
    ("hard_shrink", 1.0),
    ("threshold", -1.0, 0.3),
    ("squareplus", 0.7),
    ("celu", 0.4),
]
"""Activations whose parameters are not the usual ones."""


def public_functions(module: ModuleType) -> dict[str, Any]:
    return {
        name: function
        for name, function in vars(module).items()
        if inspect.isfunction(function) and function.__module__ == module.__name__
    }


@pytest.mark.parametrize("module", WITHIN)
def test_every_function_has_its_twin(module: str) -> None:
    spec = public_functions(import_module(f"lstm_ref.spec.{module}"))
    assert set(spec) == set(TWINS.get(module, ())) | WITHIN[module]
    if module in TWINS:
        kernels = public_functions(import_module(f"lstm_ref.kernels.{module}"))
        for name in TWINS[module]:
            assert inspect.signature(kernels[name]) == inspect.signature(spec[name]), name


def tags(*files: str) -> set[int]:
    """The numbers of all [EQ n] in those files; ranges and lists written out."""
    found: set[int] = set()
    for file in files:
        for group in re.findall(r"\[EQ ([\d, -]+)\]", (PACKAGE / file).read_text("utf-8")):
            for part in group.split(","):
                first, _, last = part.strip().partition("-")
                found |= set(range(int(first), int(last or first) + 1))
    return found


def test_equation_tags_agree() -> None:
    """The table, the specification and the kernels number the same equations."""
    spec_lstm = tags("spec/cell.py", "spec/dropout.py", "spec/lstm.py")
    spec_dense, spec_softmax = tags("spec/dense.py"), tags("spec/softmax.py")
    assert spec_lstm | spec_dense | spec_softmax == set(EQUATIONS)
    assert tags("kernels/lstm.py", "kernels/loops/lstm.py") == spec_lstm
    assert tags("kernels/dense.py") == spec_dense
    assert tags("kernels/softmax.py") == spec_softmax
    assert tags("backend.py") == set(EQUATIONS)


def reshaped(array: np.ndarray | None, form: str) -> np.ndarray | None:
    """The same numbers in memory that is not laid out as usual."""
    if array is None or form == "plain":
        return array
    if form == "read-only":
        array = array.copy()
        array.flags.writeable = False
        return array
    if form == "Fortran":
        return np.asfortranarray(array)
    return np.repeat(array, 2, axis=-1)[..., ::2]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@settings(max_examples=300)
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.tuples(st.integers(0, 15), st.integers(0, 7), st.integers(0, 20), st.integers(0, 40)),
    mask=st.sampled_from(MASKS),
    form=st.sampled_from(["plain", "read-only", "Fortran", "strided"]),
    arguments=st.fixed_dictionaries(
        {
            "bias": st.booleans(),
            "states": st.booleans(),
            "activation": st.sampled_from(["tanh", "relu", "gelu", "softplus", "linear"]),
            "recurrent_activation": st.sampled_from(["sigmoid", "hard_sigmoid", "softsign"]),
            "go_backwards": st.booleans(),
            "masked_output": st.sampled_from(["hold", "zero"]),
        }
    ),
    options=st.one_of(st.just({}), OPTIONS),
)
def test_lstm_twins_agree(
    dtype: str,
    seed: int,
    sizes: Any,
    mask: str,
    form: str,
    arguments: dict[str, Any],
    options: dict[str, Any],
) -> None:
    case = make_case(seed, sizes, dtype, mask, **arguments | options)
    for name in ("x", "mask", "h0", "c0", "d_hs", "d_h", "d_c"):
        setattr(case, name, reshaped(getattr(case, name), form))
    params = {name: reshaped(w, form) for name, w in vars(case.params).items()}
    case.params = type(case.params)(**params)
    spec, kernel = case.forward("numpy"), case.forward("numba")
    compare = {"spec": (spec, case.backward(spec)), "kernel": (kernel, case.backward(kernel))}
    # Sums of up to 160 terms in another order, over up to 7 steps; Keras holds both much closer.
    tolerance = 200 * float(np.finfo(dtype).eps)
    assert kernel.cache.z is kernel.cache.z  # computed anew if it was not kept, and then it is
    parts = [vars(spec) | vars(spec.cache), vars(kernel) | vars(kernel.cache)]
    parts = [p | vars(compare[n][1]) for p, n in zip(parts, compare, strict=True)]
    assert parts[0].keys() == parts[1].keys() - {"xh", "cells"}  # what the loops read again
    for name in parts[0].keys() - {"cache", "params", "config", "dropout", "backend"}:
        expected, got = (p[name] for p in parts)
        if expected is None:
            assert got is None, name
            continue
        assert got.shape == expected.shape, name
        assert got.dtype == expected.dtype, name
        scale = max(1.0, float(np.abs(expected).max(initial=0)))
        np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance * scale, err_msg=name)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.tuples(st.integers(0, 30), st.integers(0, 70), st.integers(0, 70)),
    bias=st.booleans(),
    activation=st.sampled_from([name for name, act in ACTIVATIONS.items() if act.plain]),
    form=st.sampled_from(["plain", "read-only", "Fortran", "strided"]),
)
def test_dense_twins_agree(
    dtype: str, seed: int, sizes: Any, bias: bool, activation: str, form: str
) -> None:
    rng = np.random.default_rng(seed)
    N, H, K = sizes
    h, d_y = rng.normal(size=(N, H)).astype(dtype), rng.normal(size=(N, K)).astype(dtype)
    W = (rng.normal(size=(H, K)) / np.sqrt(H)).astype(dtype)
    b = rng.normal(size=K).astype(dtype) if bias else None
    arguments = [reshaped(a, form) for a in (h, W, b)]
    results = []
    for backend in ("numpy", "numba"):
        out = lstm_ref.dense_forward(*arguments, activation, keep_cache=True, backend=backend)
        gradients = lstm_ref.dense_backward(reshaped(d_y, form), out.cache)
        results.append(vars(gradients) | {"y": out.y, "z": out.cache.z})
    for name, expected in results[0].items():
        got = results[1][name]
        if expected is None:
            assert got is None
            continue
        atol = 200 * float(np.finfo(dtype).eps) * max(1.0, float(np.abs(expected).max(initial=0)))
        np.testing.assert_allclose(got, expected, rtol=0, atol=atol, err_msg=name)
        assert got.dtype == expected.dtype


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", [*ACTIVATIONS, *WITH_PARAMETERS])
def test_activation_twins_agree(name: ActivationId, dtype: str) -> None:
    spec, kernels = (import_module(f"lstm_ref.{p}.activations") for p in ("spec", "kernels"))
    kinks = [-3, -2.5, -1, -0.5, -0.0, 0.0, 0.5, 1, 2.5, 3, 6]
    z = np.concatenate([np.linspace(-20, 20, 1001), [-80, 80], kinks]).astype(dtype)
    expected, got = spec.activate(name, z), kernels.activate(name, z)
    # Relative in general, and to the largest |z·eps| in the far tail of gelu and silu.
    rtol, atol = 4 * np.finfo(dtype).eps, 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=atol)
    np.testing.assert_array_equal(
        np.signbit(got[expected == 0]), np.signbit(expected[expected == 0])
    )
    expected = spec.activation_derivative(name, z, expected)
    got = kernels.activation_derivative(name, z, got)
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=atol)
    special = np.array([np.nan, np.inf, -np.inf], dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        np.testing.assert_array_equal(kernels.activate(name, special), spec.activate(name, special))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("function", TWINS["softmax"])
@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.lists(st.integers(0, 9), min_size=1, max_size=3),
    scale=st.sampled_from([0.1, 3.0, 1000.0]),
    form=st.sampled_from(["plain", "read-only", "Fortran", "strided"]),
)
def test_softmax_twins_agree(
    dtype: str, function: str, seed: int, shape: list[int], scale: float, form: str
) -> None:
    rng = np.random.default_rng(seed)
    z, d_a = (rng.normal(scale=scale, size=shape).astype(dtype) for _ in range(2))
    backward = function.endswith("_backward")
    name = function.removesuffix("_backward")
    results = []
    for backend in ("numpy", "numba"):
        a = getattr(lstm_ref.backend, name)(z, backend="numpy")
        given = (reshaped(d_a, form), reshaped(a, form)) if backward else (reshaped(z, form),)
        results.append(getattr(lstm_ref.backend, function)(*given, backend=backend))
    expected, got = results
    assert got.dtype == expected.dtype
    atol = 50 * float(np.finfo(dtype).eps) * max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(got, expected, rtol=0, atol=atol)
