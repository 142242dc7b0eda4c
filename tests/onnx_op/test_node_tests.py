"""The ONNX project's own tests of this operator: from the installed package, and kept as files."""

import importlib
from typing import Any

import numpy as np
import pytest

import lstm_ref as lr
from tests.cases import BACKENDS, computing
from tests.peers import require, require_models

OUTPUTS = ("Y", "Y_h", "Y_c")
ATOL = 2e-7  # the expected numbers are float32 up to 1; our sums are rounded in another order


def call(node: Any, inputs: dict[str, np.ndarray], backend: str) -> dict[str, np.ndarray]:
    """The outputs of a node by the operator's names. The node's inputs bear these names as well."""
    helper = require("onnx").helper
    given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    with computing(backend):
        outputs = lr.onnx_op.lstm(**{name: inputs[name] for name in node.input if name}, **given)
    return dict(zip(OUTPUTS, outputs, strict=True))


def check(got: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert expected
    for name, value in expected.items():
        assert got[name].dtype == value.dtype
        np.testing.assert_allclose(got[name], value, rtol=0, atol=ATOL, err_msg=name)


@pytest.mark.parametrize("backend", BACKENDS)
def test_those_of_the_package(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each ``export_…`` hands a node, its inputs and its outputs to ``expect``."""
    require("onnx")
    module = importlib.import_module("onnx.backend.test.case.node.lstm")
    seen = []

    def expect(
        node: Any, inputs: list[np.ndarray], outputs: list[np.ndarray], name: str, **_: Any
    ) -> None:
        given = dict(zip([n for n in node.input if n], inputs, strict=True))
        wanted = dict(zip([n for n in node.output if n], outputs, strict=True))
        check(call(node, given, backend), wanted)
        seen.append(name)

    monkeypatch.setattr(module, "expect", expect)
    for name in dir(module.LSTM):
        if name.startswith("export_"):
            getattr(module.LSTM, name)()
    assert len(seen) >= 6
    assert "test_lstm_batchwise" in seen  # layout 1, which ONNX Runtime does not run


@pytest.mark.parametrize("backend", BACKENDS)
def test_those_kept_as_files(backend: str) -> None:
    """One node a file; ``io.npz`` has ``{file}__{input}`` and ``{file}__out_{output}``."""
    folder = require_models() / "onnx_node_tests"
    files = sorted(folder.glob("*.onnx"))
    assert len(files) == 6
    with np.load(folder / "io.npz") as arrays:
        for file in files:
            (node,) = require("onnx").load(str(file)).graph.node
            own = {
                key.removeprefix(f"{file.stem}__"): arrays[key]
                for key in arrays
                if key.startswith(f"{file.stem}__")
            }
            wanted = {
                name.removeprefix("out_"): value
                for name, value in own.items()
                if name.startswith("out_")
            }
            check(call(node, own, backend), wanted)
