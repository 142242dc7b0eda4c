"""nn.LSTM against torch.nn.LSTM: outputs, states, gradients, lengths, dropout; its sentences."""

import inspect
import re
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lstm_ref as lr
from lstm_ref.errors import DTypeError, ShapeError, UnsupportedError
from lstm_ref.nn import LSTM
from tests.cases import BACKENDS, computing
from tests.nn.torch_peer import CLOSE, array, assert_close, compare_lstm, lstm_case, twins
from tests.peers import require

WIDTH = st.one_of(st.integers(1, 5), st.integers(1, 40))

MODULES = st.fixed_dictionaries(
    {
        "input_size": WIDTH,
        "hidden_size": WIDTH,
        "num_layers": st.integers(1, 3),
        "bias": st.booleans(),
        "batch_first": st.booleans(),
        "bidirectional": st.booleans(),
        "proj_size": st.one_of(st.just(0), WIDTH),
    }
)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("dtype", "examples"), [("float64", 300), ("float32", 100)])
def test_outputs_states_and_gradients_equal_torch(backend: str, dtype: str, examples: int) -> None:
    @settings(max_examples=examples)
    @given(
        seed=st.integers(0, 2**32 - 1),
        arguments=MODULES,
        B=st.sampled_from([None, 1, 2, 5]),
        T=st.integers(1, 8),
        lengths=st.booleans(),
        states=st.booleans(),
    )
    def compare(
        seed: int, arguments: dict[str, Any], B: int | None, T: int, lengths: bool, states: bool
    ) -> None:
        rng = np.random.default_rng(seed)
        P, H = arguments["proj_size"], arguments["hidden_size"]
        arguments = {**arguments, "proj_size": P % H}  # smaller than H, often 0
        theirs, ours = twins("LSTM", rng, dtype=dtype, **arguments)
        case = lstm_case(ours, rng, B, T, lengths=lengths and B is not None)
        compare_lstm(theirs, ours, case, states)

    with computing(backend):
        compare()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_long_sequence_equals_torch(backend: str, rng: np.random.Generator) -> None:
    theirs, ours = twins("LSTM", rng, 7, 33, num_layers=2, bidirectional=True, proj_size=5)
    with computing(backend):
        compare_lstm(theirs, ours, lstm_case(ours, rng, 3, 60, lengths=True))


def test_a_call_gives_what_torch_gives_without_states(rng: np.random.Generator) -> None:
    theirs, ours = twins("LSTM", rng, 3, 4, num_layers=2)
    case = lstm_case(ours, rng, 2, 5)
    out, (h, c) = ours(case.x)
    their_out, (their_h, their_c) = theirs(require("torch").tensor(case.x))
    for got, expected in ((out, their_out), (h, their_h), (c, their_c)):
        assert isinstance(got, np.ndarray)
        assert_close(got, array(expected), ulps=CLOSE["float64"].outputs)


@pytest.mark.parametrize("batch_first", [False, True])
def test_each_row_with_a_length_equals_the_row_run_alone(
    batch_first: bool, rng: np.random.Generator
) -> None:
    module = LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=batch_first, dtype="float64")
    x, lengths = rng.normal(size=(3, 6, 3)), [2, 6, 1]
    h_0, c_0 = rng.normal(size=(2, 4, 3, 4))
    out, (h_n, c_n) = module(x if batch_first else x.swapaxes(0, 1), (h_0, c_0), lengths)
    out = out if batch_first else out.swapaxes(0, 1)
    assert out.shape == (3, 6, 8)
    for row, length in enumerate(lengths):
        alone, (h, c) = module(x[row, :length], (h_0[:, row], c_0[:, row]))
        assert_close(out[row, :length], alone, ulps=4)
        assert_close(h_n[:, row], h, ulps=4)
        assert_close(c_n[:, row], c, ulps=4)
        assert not out[row, length:].any()


def test_lengths_may_be_anything_that_holds_whole_numbers(rng: np.random.Generator) -> None:
    torch = require("torch")
    module = LSTM(2, 3)
    x = rng.normal(size=(4, 2, 2))
    expected, _ = module(x, lengths=[4, 1])
    for lengths in ((4, 1), np.array([4, 1], np.int32), torch.tensor([4, 1])):
        np.testing.assert_array_equal(module(x, lengths=lengths)[0], expected)


def test_upstream_gradients_that_are_none_are_zeros(rng: np.random.Generator) -> None:
    module = LSTM(3, 4, num_layers=2, bidirectional=True, dtype="float64")
    case = lstm_case(module, rng, 2, 5, lengths=True)
    _, cache = module.forward(case.x, lengths=case.lengths, keep_cache=True)
    whole = (case.d_out, (case.d_h_n, case.d_c_n))
    parts = [
        (case.d_out, None),
        (None, (case.d_h_n, None)),
        (None, (None, case.d_c_n)),
        (None, None),
    ]
    results = [module.backward(*upstream, cache) for upstream in (whole, *parts)]
    flat = [[d_x, *d_state, *gradients.values()] for d_x, d_state, gradients in results]
    for total, *summands in zip(*flat, strict=True):
        assert_close(np.sum(summands, axis=0), total, ulps=16)
    assert all(not np.any(gradient) for gradient in flat[-1])


def test_both_biases_have_the_gradient_each_in_an_array_of_its_own(rng) -> None:
    module = LSTM(2, 3)
    case = lstm_case(module, rng, 2, 4)
    _, cache = module.forward(case.x, keep_cache=True)
    _, _, gradients = module.backward(case.d_out, None, cache)
    np.testing.assert_array_equal(gradients["bias_ih_l0"], gradients["bias_hh_l0"])
    assert not np.shares_memory(gradients["bias_ih_l0"], gradients["bias_hh_l0"])


def test_no_rows_and_no_steps_give_empty_results() -> None:
    module = LSTM(3, 4, num_layers=2, bidirectional=True, dtype="float64")
    out, (h, c) = module(np.zeros((5, 0, 3)))
    assert (out.shape, h.shape, c.shape) == ((5, 0, 8), (4, 0, 4), (4, 0, 4))
    h_0, c_0 = np.full((4, 2, 4), 0.5), np.full((4, 2, 4), 0.25)
    (out, (h, c)), cache = module.forward(np.zeros((0, 2, 3)), (h_0, c_0), keep_cache=True)
    assert out.shape == (0, 2, 8)
    np.testing.assert_array_equal(h, h_0)
    np.testing.assert_array_equal(c, c_0)
    d_x, (d_h, d_c), gradients = module.backward(out, (h_0, c_0), cache)
    assert d_x.shape == (0, 2, 3)
    np.testing.assert_array_equal(d_h, h_0)
    np.testing.assert_array_equal(d_c, c_0)
    assert all(not gradient.any() for gradient in gradients.values())


def test_forward_keeps_no_cache_unless_asked_to(rng: np.random.Generator) -> None:
    _, cache = LSTM(2, 3).forward(rng.normal(size=(4, 1, 2)))
    assert cache is None


# Dropout.


def torch_factors(
    seed: int, case: Any, ours: Any, rate: float
) -> tuple[list[np.ndarray], np.ndarray]:
    """The factors that PyTorch draws between its layers from this seed, each as [B,T,·].

    PyTorch applies ``dropout`` to the outputs of each layer, [T,B,·] or packed, one after another
    and draws nothing else; on ones, the same function gives the factors themselves.
    """
    torch = require("torch")
    rnn = torch.nn.utils.rnn
    T, B = case.x.shape[:2] if not ours.batch_first else case.x.shape[1::-1]
    width = (1 + ours.bidirectional) * (ours.proj_size or ours.hidden_size)
    ones = torch.ones(T, B, width, dtype=torch.float64)
    torch.manual_seed(seed)
    factors = []
    for _ in range(ours.num_layers - 1):
        if case.lengths is None:
            drawn = torch.nn.functional.dropout(ones, rate)
        else:
            packed = rnn.pack_padded_sequence(
                ones, torch.tensor(case.lengths), enforce_sorted=False
            )
            dropped = torch.nn.functional.dropout(packed.data, rate)
            drawn, _ = rnn.pad_packed_sequence(packed._replace(data=dropped), total_length=T)
        factors.append(drawn.numpy().swapaxes(0, 1))
    torch.manual_seed(seed)
    return factors


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("rate", [0.25, 0.9, 1.0])
@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {"num_layers": 2},
        {"num_layers": 3, "bidirectional": True, "batch_first": True},
        {"num_layers": 3, "bidirectional": True, "proj_size": 2, "bias": False},
    ],
)
def test_dropout_with_the_factors_of_torch_equals_torch(
    backend: str, rate: float, lengths: bool, options: dict[str, Any], rng: np.random.Generator
) -> None:
    theirs, ours = twins("LSTM", rng, 3, 5, dropout=rate, **options)
    case = lstm_case(ours, rng, 3, 6, lengths)
    factors = torch_factors(11, case, ours, rate)
    assert rate == 1 or any(f.any() for f in factors)
    drawn = iter(factors)

    def draw(shape: tuple[int, ...]) -> np.ndarray:
        factors = next(drawn)
        assert factors.shape == shape
        return factors

    ours.draw_dropout = draw
    with computing(backend):
        compare_lstm(theirs, ours, case)
    assert next(drawn, None) is None


def test_dropout_acts_in_training_mode_only(rng: np.random.Generator) -> None:
    module = LSTM(3, 4, num_layers=2, dropout=0.5)
    plain = LSTM(3, 4, num_layers=2)
    plain.load_state_dict(module.state_dict())
    x = rng.normal(size=(5, 2, 3))
    assert module.training
    assert np.any(module(x)[0] != plain(x)[0])
    np.testing.assert_array_equal(module.eval()(x)[0], plain(x)[0])
    assert np.any(module.train()(x)[0] != plain(x)[0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_drawn_is_zero_at_the_rate_and_else_makes_up_for_it(dtype: str) -> None:
    module = LSTM(2, 3, num_layers=2, dropout=0.3, dtype=dtype)
    factors = module.draw_dropout((60, 50, 70))
    assert factors.dtype == dtype
    assert set(np.unique(factors)) == {0, np.dtype(dtype).type(1 / 0.7)}
    # Five standard deviations of the mean of so many numbers that are 0 or 1.
    bound = 5 * np.sqrt(0.3 * 0.7 / factors.size)
    assert abs(np.mean(factors == 0) - 0.3) < bound
    for axis in range(3):  # no axis shares its factors: 50 are alike once in 10⁷ cases
        assert np.any(np.diff(factors, axis=axis) != 0, axis=axis).all()


def test_dropout_comes_from_the_seed_of_the_session(rng: np.random.Generator) -> None:
    module = LSTM(3, 4, num_layers=2, dropout=0.5)
    x = rng.normal(size=(5, 2, 3))
    lr.set_seed(3)
    first, second = module(x)[0], module(x)[0]
    lr.set_seed(3)
    np.testing.assert_array_equal(module(x)[0], first)
    assert np.any(first != second)


def test_dropout_of_everything_leaves_the_next_layer_its_biases(rng: np.random.Generator) -> None:
    module = LSTM(3, 4, num_layers=2, dropout=1.0)
    out, _ = module(rng.normal(size=(5, 2, 3)))
    np.testing.assert_array_equal(out, module(np.zeros((5, 2, 3)))[0])
    assert out.any()


def test_dropout_with_one_layer_warns_as_torch_does() -> None:
    torch = require("torch")
    for kind in (torch.nn.LSTM, LSTM):
        with pytest.warns(UserWarning, match="expects? num_layers greater than 1") as caught:
            kind(3, 4, dropout=0.5)
    assert caught[0].filename == __file__  # ours names the line that makes the module
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LSTM(3, 4, num_layers=2, dropout=0.5)
        LSTM(3, 4)


# The constructor and the representation.


def test_arguments_and_defaults_are_those_of_torch() -> None:
    torch = require("torch")
    base = inspect.signature(torch.nn.modules.rnn.RNNBase.__init__).parameters
    theirs = [(p.name, p.default) for p in base.values() if p.name not in ("self", "mode")]
    ours = [(p.name, p.default) for p in inspect.signature(LSTM).parameters.values()]
    assert ours == theirs
    for module in (LSTM, torch.nn.LSTM):
        assert list(inspect.signature(module.forward).parameters)[:3] == ["self", "input", "hx"]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"num_layers": 2, "bidirectional": True},
        {"proj_size": 2, "num_layers": 3, "bias": False, "batch_first": True, "dropout": 0.25},
    ],
)
def test_attributes_and_representation_are_those_of_torch(arguments: dict[str, Any]) -> None:
    theirs, ours = (kind(3, 4, **arguments) for kind in (require("torch").nn.LSTM, LSTM))
    assert repr(ours) == repr(theirs)
    for name in (
        *("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout"),
        *("bidirectional", "proj_size", "training"),
    ):
        assert getattr(ours, name) == getattr(theirs, name)


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"input_size": 0}, ValueError, "input_size must be greater than zero, and 0 came"),
        ({"hidden_size": -4}, ValueError, "hidden_size must be greater than zero, and -4 came"),
        ({"num_layers": 0}, ValueError, "num_layers must be greater than zero, and 0 came"),
        ({"input_size": 3.0}, TypeError, "input_size should be of type int, got: float 3.0"),
        ({"hidden_size": True}, TypeError, "hidden_size should be of type int, got: bool True"),
        ({"num_layers": "2"}, TypeError, "num_layers should be of type int, got: str '2'"),
        ({"bias": 1}, TypeError, "bias should be of type bool, got: int 1"),
        ({"batch_first": None}, TypeError, "batch_first should be of type bool, got: NoneType"),
        ({"bidirectional": 1}, TypeError, "bidirectional should be of type bool, got: int 1"),
        ({"dropout": 1.5}, ValueError, "dropout should be a number in range [0, 1]"),
        ({"dropout": -0.1}, ValueError, "dropout should be a number in range [0, 1]"),
        ({"dropout": float("nan")}, ValueError, "dropout should be a number in range [0, 1]"),
        ({"dropout": True}, ValueError, "an element being zeroed, and True came"),
        ({"dropout": "0.5"}, ValueError, "an element being zeroed, and '0.5' came"),
        ({"proj_size": -1}, ValueError, "proj_size should be a positive integer or zero"),
        ({"proj_size": 4}, ValueError, "has to be smaller than hidden_size: 4 came, and hidden_"),
        ({"proj_size": 1.5}, TypeError, "proj_size should be of type int, got: float 1.5"),
        ({"device": "cuda"}, UnsupportedError, "LSTM(device='cuda') is not supported: modules"),
        ({"dtype": "float16"}, UnsupportedError, "dtype='float16' is not supported"),
    ],
)
def test_arguments_that_make_no_sense_are_named(
    arguments: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=re.escape(sentence)):
        LSTM(**{"input_size": 3, "hidden_size": 4, **arguments})


# What a call refuses. PyTorch raises RuntimeError or ValueError: those who catch either are served.

CALLS = {
    "rank": ((np.zeros(3),), {}, ShapeError, "LSTM: expected input to be 2D or 3D, got 1D"),
    "features": (
        *((np.zeros((5, 2, 4)),), {}, ShapeError),
        "(5, 2, 4), 4 features a step, and input_size is 3: the axes are (time, batch, features)",
    ),
    "swapped": ((np.zeros((3, 5, 2)),), {}, ShapeError, "they may be swapped"),
    "one sequence": (
        *((np.zeros((5, 4)),), {}, ShapeError),
        "input_size is 3: the axes are (time, features)",
    ),
    "objects": ((np.full((5, 2, 3), None),), {}, DTypeError, "input has dtype object"),
    "h_0": (
        *((np.zeros((5, 2, 3)), (np.zeros((1, 2, 4)), np.zeros((2, 2, 5)))), {}, ShapeError),
        "h_0 has shape (1, 2, 4), and (2, 2, 4) is needed: (layers · directions, batch, width)",
    ),
    "c_0": (
        *((np.zeros((5, 2, 3)), (np.zeros((2, 2, 4)), np.zeros((2, 2, 4)))), {}, ShapeError),
        "c_0 has shape (2, 2, 4), and (2, 2, 5) is needed",
    ),
    "states of a batch": (
        *((np.zeros((5, 3)), (np.zeros((2, 1, 4)), np.zeros((2, 1, 5)))), {}, ShapeError),
        "h_0 has shape (2, 1, 4), and (2, 4) is needed: (layers · directions, width), for one",
    ),
    "one state": (
        *((np.zeros((5, 2, 3)), np.zeros((2, 2, 4))), {}, TypeError),
        "LSTM takes the pair (h_0, c_0), and something else came: a ndarray",
    ),
    "three states": (
        *((np.zeros((5, 2, 3)), [None] * 3), {}, TypeError),
        "LSTM takes the pair (h_0, c_0), and something else came: a list of 3",
    ),
    "a length of 0": (
        *((np.zeros((5, 2, 3)),), {"lengths": [5, 0]}, ShapeError),
        "lengths[1] is 0, and PyTorch has no sequence without a step",
    ),
    "too long": (
        *((np.zeros((5, 2, 3)),), {"lengths": [6, 1]}, ShapeError),
        "lengths[0] is 6, and a row has 0 to 5 steps",
    ),
    "lengths of other rows": (
        *((np.zeros((5, 2, 3)),), {"lengths": [5] * 5}, ShapeError),
        "lengths has shape (5,), and (2,) is needed: one length for each row; the axes of the",
    ),
    "lengths of one sequence": (
        *((np.zeros((5, 3)),), {"lengths": [5]}, ShapeError),
        "lengths are those of the rows of a batch, and one sequence came: cut it, x[:n]",
    ),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_does_not_fit_is_explained(call: str) -> None:
    arguments, options, error, sentence = CALLS[call]
    module = LSTM(3, 5, num_layers=2, proj_size=4)
    with pytest.raises(error, match=re.escape(sentence)) as caught:
        module(*arguments, **options)
    assert isinstance(caught.value, RuntimeError | TypeError) or "lengths" in call + sentence


def test_batch_first_is_said_where_the_axes_are() -> None:
    with pytest.raises(ShapeError, match=re.escape("the axes are (batch, time, features)")):
        LSTM(3, 4, batch_first=True)(np.zeros((2, 5, 4)))


def test_a_packed_sequence_is_refused_by_name() -> None:
    torch = require("torch")
    packed = torch.nn.utils.rnn.pack_padded_sequence(torch.zeros(5, 2, 3), torch.tensor([5, 3]))
    with pytest.raises(UnsupportedError, match="a packed sequence is not supported as input"):
        LSTM(3, 4)(packed)


@pytest.mark.parametrize(
    ("upstream", "sentence"),
    [
        ((np.zeros((2, 5, 4)), None), "d_out has shape (2, 5, 4), and (5, 2, 4) is needed"),
        ((None, (np.zeros((1, 2, 3)), None)), "d_h_n has shape (1, 2, 3), and (1, 2, 4) is"),
        ((None, (None, np.zeros((2, 4)))), "d_c_n has shape (2, 4), and (1, 2, 4) is needed"),
    ],
)
def test_an_upstream_gradient_that_does_not_fit_is_named(upstream: Any, sentence: str) -> None:
    module = LSTM(3, 4)
    _, cache = module.forward(np.zeros((5, 2, 3)), keep_cache=True)
    with pytest.raises(ShapeError, match=re.escape(sentence)):
        module.backward(*upstream, cache)


def test_backward_without_a_cache_says_how_to_get_one() -> None:
    with pytest.raises(TypeError, match=re.escape("cache is None: run LSTM's forward(..., keep_")):
        LSTM(3, 4).backward(None, None, None)


def test_weights_are_laid_out_once_until_one_changes() -> None:
    module = LSTM(3, 4, num_layers=2)
    x = np.ones((2, 1, 3), np.float32)
    before, params = module(x)[0], module.core_params
    assert module.core_params is params
    module.weight_hh_l1 = module.weight_hh_l1 + 0.5
    assert module.core_params is not params
    assert np.any(module(x)[0] != before)
