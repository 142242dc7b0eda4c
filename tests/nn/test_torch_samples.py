"""PyTorch's own samples of these modules, from the tests that come with it, in both.

A process of its own reads them out: ``torch.testing._internal`` changes settings of PyTorch and
the profile of hypothesis when it is imported.
"""

import json
import re
import subprocess
import sys
from functools import cache
from typing import Any

import numpy as np
import pytest

import lstm_ref as lr
from tests.cases import BACKENDS, computing
from tests.nn.torch_peer import LSTMCase, compare_cell, compare_linear, compare_lstm, random_state
from tests.peers import require

PROBE = """
import json, sys, types, unittest
try:
    import expecttest
except ModuleNotFoundError:  # wanted for a base class of PyTorch's tests, none of which is run here
    sys.modules["expecttest"] = types.SimpleNamespace(TestCase=unittest.TestCase)
import torch
from torch.testing._internal.common_modules import module_db

def plain(value):
    if isinstance(value, torch.Tensor):
        return {"shape": list(value.shape), "numbers": value.flatten().tolist()}
    if isinstance(value, torch.dtype):
        return str(value)
    return [plain(v) for v in value] if isinstance(value, tuple | list) else value

def call(function_input):
    if function_input is None:
        return None
    kwargs = {name: plain(value) for name, value in function_input.kwargs.items()}
    return {"args": plain(function_input.args), "kwargs": kwargs}

def sample(module_input):
    return {
        "constructor": call(module_input.constructor_input),
        "forward": call(module_input.forward_input),
    }

found = {"names": [info.name for info in module_db], "samples": {}, "errors": {}}
for info in module_db:
    if info.name not in sys.argv[1:]:
        continue
    arguments = dict(device="cpu", dtype=torch.float64, requires_grad=False, training=True)
    torch.manual_seed(0)
    found["samples"][info.name] = [
        sample(s) for s in info.module_inputs_func(info, **arguments)
    ]
    errors = info.module_error_inputs_func
    found["errors"][info.name] = [
        {
            **sample(error.module_error_input),
            "type": error.error_type.__name__,
            "sentence": error.error_regex,
        }
        for error in (errors(info, **arguments) if errors else [])
    ]
print(json.dumps(found))
"""

OURS = {"nn.LSTM": 32, "nn.LSTMCell": 2, "nn.Linear": 3}
"""How many samples PyTorch 2.13 has of each."""

NOT_OURS = {"nn.LinearCrossEntropyLoss": "a loss of PyTorch's"}
"""What else PyTorch has samples of under such a name."""

NOT_AN_ERROR_HERE = {
    "RNN input dtype .* does not match weight dtype": "an input is converted to the module's dtype"
}
"""Error samples that are none in lstm_ref, by the beginning of PyTorch's sentence."""


@cache
def torch_samples() -> dict[str, Any]:
    require("torch")
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROBE, *OURS],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found


def numbers(value: Any) -> Any:
    """What the process printed, with its tensors as arrays."""
    if isinstance(value, dict) and set(value) == {"shape", "numbers"}:
        return np.array(value["numbers"], "float64").reshape(value["shape"])
    if isinstance(value, dict):
        return {name: numbers(v) for name, v in value.items()}
    return [numbers(v) for v in value] if isinstance(value, list) else value


def forward_arguments(sample: dict[str, Any]) -> tuple[np.ndarray, Any]:
    """The input, and the state or None."""
    args, kwargs = numbers(sample["forward"]["args"]), numbers(sample["forward"]["kwargs"])
    found = dict(zip(("input", "hx"), args, strict=False)) | kwargs
    assert set(found) <= {"input", "hx"}
    return found["input"], found.get("hx")


def both(kind: str, constructor: dict[str, Any], dtype: str, rng: Any) -> tuple[Any, Any]:
    """PyTorch's module and ours, made as the sample says and with the same weights."""
    torch = require("torch")
    args, kwargs = constructor["args"], constructor["kwargs"]
    theirs = getattr(torch.nn, kind)(*args, **kwargs, dtype=getattr(torch, dtype))
    ours = getattr(lr.nn, kind)(*args, **kwargs, dtype=dtype)
    theirs.load_state_dict({k: torch.tensor(v) for k, v in random_state(ours, rng).items()})
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def test_the_samples_are_those_that_were_looked_at() -> None:
    found = torch_samples()
    assert {name: len(samples) for name, samples in found["samples"].items()} == OURS
    related = {name for name in found["names"] if re.search("LSTM|Linear", name)}
    assert related == {*OURS, *NOT_OURS}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("training", [True, False])
def test_lstm_samples(backend: str, dtype: str, training: bool, rng: np.random.Generator) -> None:
    for sample in torch_samples()["samples"]["nn.LSTM"]:
        theirs, ours = both("LSTM", sample["constructor"], dtype, rng)
        theirs.train(training)
        ours.train(training)
        x, hx = forward_arguments(sample)
        P, steps = ours.proj_size or ours.hidden_size, x.shape[0]
        runs = ours.num_layers * (1 + ours.bidirectional)
        assert x.ndim == 2, "PyTorch's samples are single sequences"
        d_out = rng.normal(size=(steps, (1 + ours.bidirectional) * P))
        h_0, c_0 = hx or (np.zeros((runs, P)), np.zeros((runs, ours.hidden_size)))
        d_state = rng.normal(size=h_0.shape), rng.normal(size=c_0.shape)
        arrays = [value.astype(dtype) for value in (x, h_0, c_0, d_out, *d_state)]
        case = LSTMCase(*arrays, lengths=None, padding=np.zeros(steps, bool))
        with computing(backend):
            compare_lstm(theirs, ours, case, states=hx is not None)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_lstm_cell_samples(backend: str, dtype: str, rng: np.random.Generator) -> None:
    for sample in torch_samples()["samples"]["nn.LSTMCell"]:
        theirs, ours = both("LSTMCell", sample["constructor"], dtype, rng)
        x, state = forward_arguments(sample)
        with computing(backend):
            compare_cell(theirs, ours, x.astype(dtype), rng, [s.astype(dtype) for s in state])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_linear_samples(backend: str, dtype: str, rng: np.random.Generator) -> None:
    for sample in torch_samples()["samples"]["nn.Linear"]:
        theirs, ours = both("Linear", sample["constructor"], dtype, rng)
        x, _ = forward_arguments(sample)
        with computing(backend):
            compare_linear(theirs, ours, x.astype(dtype), rng)


def test_error_samples_raise_what_torch_raises() -> None:
    errors = torch_samples()["errors"]
    assert {name: len(samples) for name, samples in errors.items()} == {
        "nn.LSTM": 14,
        "nn.LSTMCell": 4,
        "nn.Linear": 0,
    }
    here = set(NOT_AN_ERROR_HERE)
    for name, samples in errors.items():
        kind = getattr(lr.nn, name.removeprefix("nn."))
        for sample in samples:
            args, kwargs = sample["constructor"]["args"], sample["constructor"]["kwargs"]
            error = {"ValueError": ValueError, "TypeError": TypeError, "RuntimeError": RuntimeError}
            if sample["forward"] is None:  # the sentence begins as PyTorch's does
                with pytest.raises(error[sample["type"]], match=sample["sentence"]):
                    kind(*args, **kwargs)
                continue
            module, (x, hx) = kind(*args, **kwargs), forward_arguments(sample)
            converted = {start for start in here if sample["sentence"].startswith(start)}
            if converted:
                here -= converted
                module(x)
                continue
            with pytest.raises(error[sample["type"]], match="has shape"):
                module(x, hx)
    assert not here
