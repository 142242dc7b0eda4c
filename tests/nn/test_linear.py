"""nn.Linear against torch.nn.Linear; its sentences."""

import inspect
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_ref.errors import DTypeError, ShapeError, UnsupportedError
from lstm_ref.nn import Linear
from tests.cases import BACKENDS, computing
from tests.nn.torch_peer import compare_linear, twins
from tests.peers import require


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_outputs_and_gradients_equal_torch(backend: str, dtype: str) -> None:
    @settings(max_examples=200)
    @given(
        seed=st.integers(0, 2**32 - 1),
        features=st.integers(1, 40),
        outputs=st.integers(1, 40),
        bias=st.booleans(),
        leading=st.lists(st.integers(1, 5), max_size=3),
    )
    def compare(seed: int, features: int, outputs: int, bias: bool, leading: list[int]) -> None:
        rng = np.random.default_rng(seed)
        theirs, ours = twins("Linear", rng, features, outputs, dtype=dtype, bias=bias)
        compare_linear(theirs, ours, rng.normal(size=(*leading, features)).astype(dtype), rng)

    with computing(backend):
        compare()


def test_an_upstream_gradient_that_is_none_is_zeros(rng: np.random.Generator) -> None:
    linear = Linear(3, 4)
    _, cache = linear.forward(rng.normal(size=(2, 5, 3)), keep_cache=True)
    d_x, gradients = linear.backward(None, cache)
    assert d_x.shape == (2, 5, 3)
    assert {name: g.shape for name, g in gradients.items()} == {"weight": (4, 3), "bias": (4,)}
    assert not any(np.any(gradient) for gradient in (d_x, *gradients.values()))


def test_one_step_of_training_as_the_package_shows_it(rng: np.random.Generator) -> None:
    linear = Linear(3, 4, dtype="float64")
    x, target = rng.normal(size=(20, 3)), rng.normal(size=(20, 4))
    losses = []
    for _ in range(3):
        y, cache = linear.forward(x, keep_cache=True)
        losses.append(np.mean((y - target) ** 2))
        _, gradients = linear.backward(2 * (y - target) / y.size, cache)
        for name, weight in linear.named_parameters():
            setattr(linear, name, weight - 0.1 * gradients[name])
    assert losses[0] > losses[1] > losses[2]


@pytest.mark.parametrize("bias", [True, False])
def test_arguments_attributes_and_representation_are_those_of_torch(bias: bool) -> None:
    peer = require("torch").nn.Linear
    theirs, ours = peer(3, 4, bias), Linear(3, 4, bias)
    assert repr(ours) == repr(theirs)
    assert (ours.in_features, ours.out_features) == (3, 4)
    assert (ours.bias is None) == (theirs.bias is None) is not bias
    signatures = [inspect.signature(kind).parameters.values() for kind in (Linear, peer)]
    assert [(p.name, p.default) for p in signatures[0]] == [
        (p.name, p.default) for p in signatures[1]
    ]
    assert "input" in inspect.signature(ours.forward).parameters


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"in_features": 0}, ValueError, "in_features must be greater than zero, and 0 came"),
        ({"out_features": -1}, ValueError, "out_features must be greater than zero, and -1 came"),
        ({"in_features": 3.0}, TypeError, "in_features should be of type int, got: float 3.0"),
        ({"bias": None}, TypeError, "bias should be of type bool, got: NoneType None"),
        ({"device": "meta"}, UnsupportedError, "Linear(device='meta') is not supported"),
        ({"dtype": complex}, UnsupportedError, "dtype='complex128' is not supported"),
    ],
)
def test_arguments_that_make_no_sense_are_named(
    arguments: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=re.escape(sentence)):
        Linear(**{"in_features": 3, "out_features": 4, **arguments})


@pytest.mark.parametrize("shape", [(2, 4), (3, 2), ()])
def test_another_number_of_features_is_explained(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=re.escape(f"input has shape {shape}, and in_features")):
        Linear(3, 4)(np.zeros(shape))


def test_what_is_no_number_is_named() -> None:
    with pytest.raises(DTypeError, match="input has dtype complex128"):
        Linear(3, 4)(np.zeros(3, complex))


def test_backward_says_what_it_needs() -> None:
    linear = Linear(3, 4)
    with pytest.raises(TypeError, match=re.escape("run Linear's forward(..., keep_cache=True)")):
        linear.backward(np.zeros((2, 4)), None)
    _, cache = linear.forward(np.zeros((2, 3)), keep_cache=True)
    with pytest.raises(ShapeError, match=re.escape("d_y has shape (2, 3), and (2, 4) is needed")):
        linear.backward(np.zeros((2, 3)), cache)
