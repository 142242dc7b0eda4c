"""Keras' own test modules, run as they stand in the installed package, on a library of our choice.

A module is read, not imported: its source is executed with an ``import`` of its own, which hands
out the names of a `Library` for those of Keras. Keras itself is not imported for that.
"""

import builtins
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NoReturn

from tests.third_party import methods_callbacks, methods_losses, methods_optimizers

PLACES = {
    "lstm_test": "layers/rnn",
    "bidirectional_test": "layers/rnn",
    "rnn_test": "layers/rnn",
    "stacked_rnn_cells_test": "layers/rnn",
    "time_distributed_test": "layers/rnn",
    "dropout_rnn_cell_test": "layers/rnn",
    "masking_test": "layers/core",
    "embedding_test": "layers/core",
    "dense_test": "layers/core",
    "dropout_test": "layers/regularization",
    "repeat_vector_test": "layers/reshaping",
    "activation_test": "layers/activations",
    "regularizers_test": "regularizers",
    "constraints_test": "constraints",
    "constant_initializers_test": "initializers",
    "random_initializers_test": "initializers",
    "initializer_test": "initializers",
    **methods_optimizers.PLACES,
    **methods_callbacks.PLACES,
    **methods_losses.PLACES,
}
"""The test modules of what both libraries have, and their folders in ``keras/src``."""

IMPORTED_AS_THEY_ARE = {"numpy", "absl"} | sys.stdlib_module_names


def keras_folder() -> Path | None:
    """``keras/src`` of the installed package, or None."""
    spec = importlib.util.find_spec("keras")
    return None if spec is None or spec.origin is None else Path(spec.origin).parent / "src"


class AbsentError(Exception):
    """A test has used a name that the library does not have."""


class Absent:
    """Such a name, which may be imported and be a base class, and nothing else."""

    def __init__(self, name: str) -> None:
        self._name = name

    def _used(self, *_: Any, **__: Any) -> NoReturn:
        raise AbsentError(self._name)

    __call__ = __getitem__ = __iter__ = _used

    def __getattr__(self, attribute: str) -> NoReturn:
        raise AbsentError(f"{self._name}.{attribute}")

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return ()


class Recorded:
    """A module whose names are noted down when they are used; some may have a stand-in."""

    def __init__(self, module: Any, used: set[str], stand_ins: dict[str, Any]) -> None:
        self._module, self._used, self._stand_ins = module, used, stand_ins

    def __getattr__(self, name: str) -> Any:
        self._used.add(name)
        return self._stand_ins[name] if name in self._stand_ins else getattr(self._module, name)


@dataclass
class Library:
    """What a test module's imports give.

    Attributes:
        names: by their whole names, ``"keras.src.layers"``.
        everything_else: whether what is not among them is imported from Keras.
        used: the names that tests have taken from `Recorded` modules.
    """

    names: dict[str, Any]
    everything_else: bool = False
    used: set[str] = field(default_factory=set)

    def find(self, name: str) -> Any:
        """The thing with this whole name."""
        if name in self.names:
            return self.names[name]
        if any(other.startswith(f"{name}.") for other in self.names):
            return Folder(self, name)
        if not self.everything_else:
            return Absent(name)
        parent, _, last = name.rpartition(".")
        if hasattr(module := importlib.import_module(parent), last):
            return getattr(module, last)
        return importlib.import_module(name)

    def do_import(
        self,
        name: str,
        given_globals: Any = None,
        given_locals: Any = None,
        names: tuple[str, ...] | None = (),
        level: int = 0,
    ) -> Any:
        """``__import__`` for a test module."""
        top = name.partition(".")[0]
        if top in IMPORTED_AS_THEY_ARE:
            return builtins.__import__(name, given_globals, given_locals, names or (), level)
        return Folder(self, name) if names else self.find(top)


@dataclass
class Folder:
    """What has names in a library, as a package has modules."""

    library: Library
    name: str

    def __getattr__(self, attribute: str) -> Any:
        return self.library.find(f"{self.name}.{attribute}")


@cache
def code_of(module: str) -> CodeType:
    """The compiled source of a test module."""
    folder = keras_folder()
    assert folder is not None
    path = folder / PLACES[module] / f"{module}.py"
    return compile(path.read_text("utf-8"), str(path), "exec")


def run_module(module: str, library: Library) -> dict[str, Any]:
    """The names of a test module that was executed with the library."""
    namespace = ModuleType(module).__dict__
    namespace["__builtins__"] = {**vars(builtins), "__import__": library.do_import}
    exec(code_of(module), namespace)
    return namespace


def methods_of(namespace: dict[str, Any], base: type) -> Iterator[tuple[str, type, str]]:
    """Every test method: how the source calls it, its class, and its name there.

    One name in the source is several methods where it has parameters.
    """
    for test_case in namespace.values():
        if not (isinstance(test_case, type) and issubclass(test_case, base)):
            continue
        if test_case.__module__ != namespace["__name__"]:
            continue
        for name in dir(test_case):
            if name.startswith("test"):
                yield name_in_source(getattr(test_case, name)), test_case, name


def name_in_source(method: Any) -> str:
    """How the source calls a method, whatever its parameters have made of the name."""
    while hasattr(method, "__wrapped__"):
        method = method.__wrapped__
    return str(method.__code__.co_name)
