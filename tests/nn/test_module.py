"""What all modules do alike, against PyTorch: state dicts, first weights, attributes, modes."""

import copy
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import lstm_ref as lr
from lstm_ref.errors import DTypeError, ShapeError, UnsupportedError
from lstm_ref.nn import LSTM, IncompatibleKeys, Linear, LSTMCell, Module, ModuleShapeError
from tests.nn.torch_peer import random_state
from tests.peers import require

KINDS = [
    ("LSTM", (3, 4), {}),
    ("LSTM", (3, 4), {"num_layers": 2, "bidirectional": True, "proj_size": 2}),
    ("LSTM", (3, 4), {"num_layers": 2, "bias": False}),
    ("LSTM", (3, 4), {"bidirectional": True, "bias": False, "proj_size": 3}),
    ("LSTMCell", (3, 4), {}),
    ("LSTMCell", (3, 4), {"bias": False}),
    ("Linear", (3, 4), {}),
    ("Linear", (3, 4), {"bias": False}),
]


def make(kind: str, sizes: tuple[int, ...], options: Mapping[str, Any], **more: Any) -> Module:
    module: Module = getattr(lr.nn, kind)(*sizes, **options, **more)
    return module


# State dicts.


@pytest.mark.parametrize(("kind", "sizes", "options"), KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_state_dict_goes_to_torch_and_comes_back(
    kind: str, sizes: tuple[int, ...], options: Any, dtype: str, rng: np.random.Generator
) -> None:
    torch = require("torch")
    ours = make(kind, sizes, options, dtype=dtype)
    theirs = getattr(torch.nn, kind)(*sizes, **options, dtype=getattr(torch, dtype))
    assert list(ours.state_dict()) == list(theirs.state_dict())

    ours.load_state_dict(random_state(ours, rng))
    state = ours.state_dict()
    theirs.load_state_dict({name: torch.from_numpy(weight) for name, weight in state.items()})
    for name, weight in theirs.state_dict().items():
        np.testing.assert_array_equal(weight.numpy(), state[name])

    back = make(kind, sizes, options, dtype=dtype)
    assert any(np.any(weight != state[name]) for name, weight in back.named_parameters())
    assert back.load_state_dict(theirs.state_dict()) == ([], [])
    for name, weight in back.named_parameters():
        assert weight.dtype == dtype
        np.testing.assert_array_equal(weight, state[name])


def test_a_state_dict_holds_copies_and_loading_copies(rng: np.random.Generator) -> None:
    module = Linear(3, 4)
    state = module.state_dict()
    before = state["weight"].copy()
    state["weight"][:] = 7
    np.testing.assert_array_equal(module.weight, before)
    module.load_state_dict(state)
    state["weight"][:] = 8
    assert (module.weight == 7).all()


def test_weights_of_another_dtype_or_form_are_converted() -> None:
    module = Linear(2, 2, dtype="float64")
    module.load_state_dict({"weight": [[1, 2], [3, 4]], "bias": np.array([0.5, 1], ">f2")})
    np.testing.assert_array_equal(module.weight, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(module.bias, [0.5, 1])
    assert module.weight.dtype == module.bias.dtype == np.float64


def test_without_strict_what_fits_is_taken_and_the_rest_is_returned() -> None:
    torch = require("torch")
    state = {"weight_ih_l0": np.ones((16, 3)), "weight_ih_l7": np.ones(2), "more": np.ones(1)}
    theirs, ours = torch.nn.LSTM(3, 4), LSTM(3, 4)
    expected = theirs.load_state_dict(
        {name: torch.tensor(weight) for name, weight in state.items()}, strict=False
    )
    kept = ours.weight_hh_l0
    got = ours.load_state_dict(state, strict=False)
    assert isinstance(got, IncompatibleKeys)
    assert got == (expected.missing_keys, expected.unexpected_keys)
    assert (ours.weight_ih_l0 == 1).all()
    np.testing.assert_array_equal(ours.weight_hh_l0, kept)


def without(module: Module, *names: str, **more: Any) -> dict[str, Any]:
    """The module's state dict without some weights and with others."""
    state = {name: weight for name, weight in module.state_dict().items() if name not in names}
    return {**state, **more}


UNFIT = {
    "missing": (
        lambda m: without(m, "bias_ih_l0", "bias_hh_l0"),
        "the state_dict does not fit LSTM(3, 4): there is no bias_ih_l0, bias_hh_l0; which weights",
    ),
    "unexpected": (
        lambda m: without(m, weight_hr_l0=np.ones((2, 4))),
        "weight_hr_l0; which weights there are is decided by num_layers, bidirectional, bias and",
    ),
    "both": (
        lambda m: without(m, "weight_ih_l0", weight_ih_l1=np.ones((16, 3))),
        "there is no weight_ih_l0; nothing here is called weight_ih_l1; which",
    ),
    "another shape": (
        lambda m: without(m, weight_hh_l0=np.ones((16, 5))),
        "does not fit LSTM(3, 4): weight_hh_l0 has shape (16, 5), and (16, 4) is needed",
    ),
    "transposed": (
        lambda m: without(m, weight_ih_l0=np.ones((3, 16))),
        "(16, 3) is needed (it looks transposed: Keras has inputs first, PyTorch outputs; use its",
    ),
    "Keras": (
        lambda _: {"kernel": np.ones((3, 16)), "recurrent_kernel": np.ones((4, 16))},
        "kernel, recurrent_kernel; these are Keras' names: lstm_ref.layouts.params_to_torch brings",
    ),
    "a larger model": (
        lambda m: {
            **{f"encoder.lstm.{name}": weight for name, weight in m.state_dict().items()},
            "head.weight": np.ones((1, 4)),
        },
        "a module's name: take those of 'encoder.lstm' and cut 'encoder.lstm.' off",
    ),
}


@pytest.mark.parametrize("what", UNFIT)
def test_a_state_dict_that_does_not_fit_is_explained_and_nothing_is_taken(what: str) -> None:
    change, sentence = UNFIT[what]
    module = LSTM(3, 4)
    before = module.state_dict()
    state = {name: weight + 1 for name, weight in change(module).items()}
    # PyTorch raises RuntimeError; a ShapeError is a ValueError besides.
    for error in (RuntimeError, ShapeError):
        with pytest.raises(error, match=re.escape(sentence)):
            module.load_state_dict(state)
    for name, weight in module.named_parameters():
        np.testing.assert_array_equal(weight, before[name])


def test_another_shape_is_refused_without_strict_too() -> None:
    with pytest.raises(ModuleShapeError, match=re.escape("bias has shape (3,), and (4,)")):
        Linear(3, 4).load_state_dict({"bias": np.ones(3)}, strict=False)


def test_what_is_no_mapping_or_no_number_is_refused() -> None:
    module = Linear(3, 4)
    with pytest.raises(TypeError, match="state_dict is a list, and a mapping from names to arr"):
        module.load_state_dict([np.ones((3, 4)), np.ones(4)])
    with pytest.raises(DTypeError, match="weight has dtype complex128"):
        module.load_state_dict(without(module, weight=np.ones((4, 3), complex)))


def test_the_weights_of_a_keras_layer_go_the_way_the_error_names(rng: np.random.Generator) -> None:
    layer = lr.layers.LSTM(4, return_sequences=True, dtype="float64")
    layer.build((None, None, 3))
    weights = lr.layouts.params_to_torch(lr.LSTMParams(*layer.get_weights()))
    module = LSTM(3, 4, batch_first=True, dtype="float64")
    module.load_state_dict({f"{name}_l0": weight for name, weight in weights.items()})
    x = rng.normal(size=(2, 5, 3))
    np.testing.assert_allclose(module(x)[0], layer(x), rtol=0, atol=1e-15)


# The first weights.


@pytest.mark.parametrize(("kind", "sizes", "options"), KINDS)
def test_weights_begin_uniformly_within_the_bounds_of_torch(
    kind: str, sizes: tuple[int, ...], options: Any
) -> None:
    sizes = (60, 50)
    module = make(kind, sizes, options, dtype="float64")
    theirs = getattr(require("torch").nn, kind)(*sizes, **options)
    bound = 1 / np.sqrt(sizes[0] if kind == "Linear" else sizes[1])
    peer = dict(theirs.named_parameters())
    for name, weight in module.named_parameters():
        n = weight.size
        for values in (weight, peer[name].detach().numpy()):
            spread = values / bound  # uniform within ±1: variance 1/3, that of its square 4/45
            assert np.abs(spread).max() <= 1 + 1e-7
            assert np.abs(spread).max() > 1 - 10 / n  # missed once in e^10
            assert abs(spread.mean()) < 5 * np.sqrt(1 / 3 / n)
            assert abs((spread**2).mean() - 1 / 3) < 5 * np.sqrt(4 / 45 / n)


def test_no_two_weights_begin_alike() -> None:
    weights = list(LSTM(4, 4, num_layers=2, bidirectional=True).parameters())
    first_numbers = [weight.flat[0] for weight in weights]
    assert len(set(first_numbers)) == len(first_numbers)


def test_the_first_weights_come_from_the_seed_of_the_session() -> None:
    lr.set_seed(5)
    first, second = LSTM(3, 4), LSTM(3, 4)
    lr.set_seed(5)
    again = LSTM(3, 4)
    assert all(map(np.array_equal, first.parameters(), again.parameters()))
    assert not any(map(np.array_equal, first.parameters(), second.parameters()))
    lr.set_seed(5)
    second.reset_parameters()
    assert all(map(np.array_equal, first.parameters(), second.parameters()))


# Attributes, modes, dtypes.


@pytest.mark.parametrize(("kind", "sizes", "options"), KINDS)
def test_a_weight_is_an_attribute_that_can_be_replaced_and_not_written_into(
    kind: str, sizes: tuple[int, ...], options: Any
) -> None:
    module = make(kind, sizes, options)
    for name, weight in list(module.named_parameters()):
        np.testing.assert_array_equal(getattr(module, name), weight)
        with pytest.raises(ValueError, match="read-only"):
            weight[:] = 0
        new = np.full(weight.shape, 0.25)
        setattr(module, name, new)
        new[:] = 9
        assert (getattr(module, name) == 0.25).all()
        assert (module.state_dict()[name] == 0.25).all()
        assert getattr(module, name).dtype == np.float32
        with pytest.raises(ModuleShapeError, match=re.escape(f"{name} of {module!r} has shape")):
            setattr(module, name, np.ones((2, 2)))
    assert len(list(module.parameters())) == len(module.state_dict())


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (LSTM(3, 4), "weight_ih_11"),
        (LSTM(3, 4, bias=False), "bias_ih_l0"),
        (LSTMCell(3, 4, bias=False), "bias_hh"),
        (Linear(3, 4, bias=False), "bias"),
    ],
)
def test_a_weight_that_is_not_there_cannot_be_set(module: Module, name: str) -> None:
    with pytest.raises(AttributeError, match=re.escape(f"{module!r} has no weight {name!r}")):
        setattr(module, name, np.ones(16))


def test_an_attribute_that_is_not_there_is_named() -> None:
    with pytest.raises(AttributeError, match="'Linear' object has no attribute 'cuda'"):
        Linear(3, 4).cuda()


def test_modes_are_those_of_torch() -> None:
    for module in (require("torch").nn.Linear(3, 4), Linear(3, 4)):
        assert module.training
        assert module.eval() is module
        assert not module.training
        assert module.train() is module
        assert module.training
        assert not module.train(False).training
        with pytest.raises(ValueError, match="training mode is expected to be boolean"):
            module.train(1)


@pytest.mark.parametrize("dtype", ["float64", np.float64, np.dtype("float64"), "torch"])
def test_a_dtype_may_be_given_in_many_ways(dtype: Any) -> None:
    dtype = require("torch").float64 if dtype == "torch" else dtype
    module = Linear(3, 4, dtype=dtype, device="cpu")
    assert module.weight.dtype == module(np.zeros(3, np.float32)).dtype == np.float64


def test_a_dtype_that_is_not_given_is_the_default_of_the_library() -> None:
    assert Linear(3, 4).weight.dtype == np.float32
    lr.set_floatx("float64")
    assert Linear(3, 4).weight.dtype == np.float64


@pytest.mark.parametrize("name", ["float16", "bfloat16", "complex64"])
def test_another_dtype_of_torch_is_refused_by_name(name: str) -> None:
    with pytest.raises(UnsupportedError, match=f"dtype='{name}' is not supported"):
        Linear(3, 4, dtype=getattr(require("torch"), name))


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_a_copy_is_independent(duplicate: Any) -> None:
    module = LSTM(3, 4, bidirectional=True)
    x = np.ones((2, 1, 3))
    expected = module(x)[0]
    other = duplicate(module)
    np.testing.assert_array_equal(other(x)[0], expected)
    other.weight_ih_l0 = np.zeros((16, 3))
    assert np.any(other(x)[0] != expected)
    np.testing.assert_array_equal(module(x)[0], expected)
    assert module.weight_ih_l0.any()


def test_the_cache_of_another_module_is_refused() -> None:
    x = np.zeros((4, 2, 3))
    one, two = lr.nn.LSTM(3, 4), lr.nn.LSTM(3, 4, num_layers=2)
    (out, _), cache = one.forward(x, keep_cache=True)
    with pytest.raises(TypeError, match=r"another module's.*LSTM\(3, 4, num_layers=2\)"):
        two.backward(out, None, cache)
    with pytest.raises(TypeError, match="an LSTM's, of a whole sequence"):
        lr.nn.LSTMCell(3, 4).backward(None, cache)


def test_a_switch_may_be_numpys() -> None:
    assert lr.nn.LSTM(3, 4, bidirectional=np.True_).bidirectional is True
