"""Keras' own test methods, run from the installed package against lstm_ref."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import SkipTest

import pytest

import lstm_ref as lr
from lstm_ref.layers import Layer
from tests.cases import BACKENDS, computing
from tests.peers import require
from tests.third_party import keras_callbacks, keras_losses, keras_optimizers, libraries
from tests.third_party.keras_methods import (
    SAME_NUMBERS,
    WITH_OTHER_WEIGHTS,
    WITH_STAND_INS,
    not_applicable,
)
from tests.third_party.keras_source import PLACES, Library, keras_folder, methods_of, run_module
from tests.third_party.keras_test_case import AsItStands, Beside, KerasTestCase, Recording
from tests.third_party.stand_ins import is_stand_in, waves


class Method(NamedTuple):
    """One test method, with its parameters."""

    module: str
    source: str
    test_case: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}-{self.name}"

    @property
    def called(self) -> set[str]:
        """What it may be called in `keras_methods`, alone or with others."""
        return {self.source, self.name, self.test_case, f"{self.test_case}.{self.source}"}


def methods() -> Iterator[Method]:
    """Every test method of the modules, without Keras being imported."""
    for module in PLACES if keras_folder() else ():
        namespace = run_module(module, libraries.lstm_ref_library(AsItStands, False))
        for source, test_case, name in methods_of(namespace, AsItStands):
            yield Method(module, source, test_case.__name__, name)


METHODS = list(methods())
LEFT_OUT = [m for m in METHODS if m.called & set(not_applicable(m.module))]
REPLACED = [m for m in METHODS if m.source in WITH_STAND_INS.get(m.module, ())]
AS_THEY_STAND = [m for m in METHODS if m not in LEFT_OUT and m not in REPLACED]
ONCE_MORE = [m for m in AS_THEY_STAND if m.source in WITH_OTHER_WEIGHTS.get(m.module, ())]

if not METHODS:
    pytest.skip('keras is not installed: pip install -e ".[test]"', allow_module_level=True)


@pytest.fixture(autouse=True)
def _weights_are_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Keras' tests do with a weight, they may do with ours."""
    monkeypatch.setattr(Layer, "weight", libraries.variable)
    monkeypatch.setattr(Layer, "weights", property(libraries.variables))
    keras_optimizers.speak_keras(monkeypatch)
    keras_callbacks.speak_keras(monkeypatch)
    keras_losses.speak_keras(monkeypatch)


def case(base: type[KerasTestCase], folder: Path, numbers: list[Any]) -> type[KerasTestCase]:
    return type(base.__name__, (base,), {"folder": folder, "numbers": numbers})


def run(method: Method, library: Library) -> None:
    """Run a method with a library, and see that it used it."""
    namespace = run_module(method.module, library)
    namespace.update({n: v for n, v in stand_ins_of(library).items() if n in namespace})
    library.used.clear()
    try:
        namespace[method.test_case](method.name).debug()
    except SkipTest as skip:
        raise AssertionError(f"the method skips itself: {skip}") from skip
    assert library.used, "the method has not touched the library"


def stand_ins_of(library: Library) -> dict[str, Any]:
    """The stand-ins for cells, which take the place of those a module defines itself."""
    start = "keras.src.layers.rnn.rnn_test."
    cells = {n.removeprefix(start): v for n, v in library.names.items() if n.startswith(start)}
    return {name: cell for name, cell in cells.items() if is_stand_in(cell)}


def test_every_method_that_is_named_exists() -> None:
    for module in PLACES:
        there = {name for m in METHODS if m.module == module for name in m.called}
        assert there, f"{module} has no tests"
        replaced, left_out = WITH_STAND_INS.get(module, {}), not_applicable(module)
        once_more = WITH_OTHER_WEIGHTS.get(module, ())
        named = [*replaced, *left_out, *once_more]
        assert len(named) == len(set(named)), f"a method of {module} is named twice"
        assert set(named) <= there, f"{module} has changed"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("method", AS_THEY_STAND, ids=str)
def test_as_it_stands(method: Method, backend: str, tmp_path: Path) -> None:
    with computing(backend):
        run(method, libraries.lstm_ref_library(case(AsItStands, tmp_path, []), False))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("method", REPLACED, ids=str)
def test_with_an_lstm(
    method: Method, backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if WITH_STAND_INS[method.module][method.source] == SAME_NUMBERS:
        compare_with_keras(method, backend, tmp_path, monkeypatch)
        return
    with computing(backend):
        run(method, libraries.lstm_ref_library(case(AsItStands, tmp_path, []), True))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("method", ONCE_MORE, ids=str)
def test_with_other_weights(
    method: Method, backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare_with_keras(method, backend, tmp_path, monkeypatch)


def compare_with_keras(
    method: Method, backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run a method in Keras, then here; the numbers it looks at must be the same."""
    for library in (require("keras"), lr):
        monkeypatch.setattr(library.initializers.Constant, "__call__", waves)
    numbers: list[Any] = []
    run(method, libraries.keras_library(case(Recording, tmp_path, numbers)))
    assert numbers
    with computing(backend):
        run(method, libraries.lstm_ref_library(case(Beside, tmp_path, numbers), True))
    assert not numbers, "not every number was looked at"


@pytest.mark.parametrize("with_an_lstm", [False, True])
@pytest.mark.parametrize("method", LEFT_OUT, ids=str)
def test_what_is_not_applicable_does_not_run(
    method: Method, with_an_lstm: bool, tmp_path: Path
) -> None:
    """Take a method that runs off the list."""
    library = libraries.lstm_ref_library(case(AsItStands, tmp_path, []), with_an_lstm)
    with pytest.raises(Exception):  # noqa: B017, PT011 (there are as many errors as reasons)
        run(method, library)
