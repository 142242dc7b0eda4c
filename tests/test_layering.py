"""Who may use whom: the rooms of the house, and the libraries each may bring in.

Every module of the package is parsed, not run, so an import inside a function counts as well.
The tables below are the rule.
"""

import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import lstm_ref

PACKAGE = Path(lstm_ref.__file__).resolve().parent

# A room may use itself and the rooms above it, never those below.
ROOMS = {
    "errors": "what is raised on purpose: needs nothing",
    "conventions": "the symbols, the gate order, the numbered equations",
    "spec": "the specification in plain NumPy",
    "threads": "how many threads compute",
    "kernels": "the Numba twins of spec",
    "checks": "shapes and dtypes at the door; behind it nothing is checked again",
    "backend": "chooses spec or kernels: the only door to kernels",
    "layouts": "the weights of each vocabulary, and the way from one to another",
    "sequences": "tables, windows and padding into (B,T,D)",
    "formats": "files to plain records and back; knows no model class",
    "layers": "Keras' vocabulary over the core",
    "nn": "PyTorch's vocabulary over the core",
    "onnx_op": "ONNX's operator LSTM over the core",
    "training": "losses, metrics, optimizers, callbacks and the fit loop, over layers",
    "model": "Sequential: layers and training under one roof",
    "verify": "checks a model against finite differences and against others",
    "forecast": "from a table to a forecast at every row, and how good it is",
    "plots": "pictures of what a model does",
    # Keras' import paths: names re-exported from the rooms above, so that only imports change.
    "activations": "Keras' import path",
    "callbacks": "Keras' import path",
    "config": "Keras' import path",
    "constraints": "Keras' import path",
    "initializers": "Keras' import path",
    "losses": "Keras' import path",
    "metrics": "Keras' import path",
    "models": "Keras' import path",
    "optimizers": "Keras' import path",
    "preprocessing": "Keras' import path",
    "regularizers": "Keras' import path",
    "utils": "Keras' import path",
    "data": "data files, no code",
    "lstm_ref": "the package itself: the public names in reading order",
    "cli": "the program over the package, one verb a file",
}

# Doors: rooms that only these rooms may open.
ONLY_THROUGH = {"kernels": {"backend"}}

# Libraries besides the standard library, and the rooms that may import them. A library that is
# not here is no dependency. NumPy is everywhere.
LIBRARIES = {
    "numpy": set(ROOMS),
    "numba": {"kernels"},
    "llvmlite": {"kernels"},
    "tqdm": {"kernels", "training", "cli"},
    "h5py": {"formats"},
    "onnx": {"formats"},
    "safetensors": {"formats"},
    "matplotlib": {"plots"},
}

# Of the standard library, what runs code found in a file.
REFUSED = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}

ORDER = {room: row for row, room in enumerate(ROOMS)}


class Import(NamedTuple):
    line: int
    module: str | None  # dotted and absolute; None where the source does not say


def imports(source: str, package: str, is_module: Callable[[str], bool]) -> Iterator[Import]:
    """Every import in `source`, which belongs to the package `package`: anywhere in the file."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield Import(node.lineno, alias.name)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = package.split(".")[: len(package.split(".")) - level + 1] if level else []
                origin = ".".join([*base, *([module] if module else [])])
                for alias in names:
                    member = f"{origin}.{alias.name}"
                    yield Import(node.lineno, member if is_module(member) else origin)
            case ast.Call(func=ast.Attribute(attr="import_module") | ast.Name(id="import_module")):
                yield Import(node.lineno, _named(node.args))
            case ast.Call(func=ast.Name(id="__import__")):
                yield Import(node.lineno, _named(node.args))


def _named(args: list[ast.expr]) -> str | None:
    """The module an ``import_module(...)`` call names, where it names one outright."""
    match args:
        case [ast.Constant(value=str(name)), *_] if not name.startswith("."):
            return name
        # f"lstm_ref.kernels.{name}" leaves the module open and names the room.
        case [ast.JoinedStr(values=[ast.Constant(value=str(name)), *_]), *_]:
            return name.removesuffix(".") if name.endswith(".") and name != "." else None
    return None


def room_of(module: str) -> str:
    """`lstm_ref.spec.cell` lives in the room `spec`; `lstm_ref` itself is the top."""
    package, _, rest = module.partition(".")
    return rest.partition(".")[0] or package


def violations(root: Path) -> list[str]:
    """What breaks the two tables in the package at `root`, as `file:line: sentence`."""
    found = []

    def is_module(dotted: str) -> bool:
        path = root.parent.joinpath(*dotted.split("."))
        return path.with_suffix(".py").is_file() or path.is_dir()

    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root.parent)
        parts = relative.with_suffix("").parts
        package = ".".join(parts[:-1])
        room = room_of(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
        if room not in ROOMS:
            found.append(f"{relative}:1: the room {room!r} has no row in ROOMS")
            continue
        for line, module in imports(path.read_text(encoding="utf-8"), package, is_module):
            complaint = _complaint(room, module)
            if complaint:
                found.append(f"{relative}:{line}: {complaint}")
    return found


def _complaint(room: str, module: str | None) -> str | None:
    if module is None:
        return f"{room!r} imports a module it does not name"
    top = module.partition(".")[0]
    if top == "lstm_ref":
        used = room_of(module)
        if used not in ROOMS:
            return f"the room {used!r} has no row in ROOMS"
        if ORDER[used] > ORDER[room]:
            return f"{room!r} imports {module}, but {used!r} is built on it"
        if used != room and room not in ONLY_THROUGH.get(used, ROOMS):
            doors = " and ".join(sorted(ONLY_THROUGH[used]))
            return f"{room!r} imports {module}, which only {doors} may"
    elif top in REFUSED:
        return f"{room!r} imports {top}, which runs code found in a file"
    elif top not in sys.stdlib_module_names and room not in LIBRARIES.get(top, ()):
        allowed = " and ".join(sorted(LIBRARIES.get(top, ()))) or "no room"
        return f"{room!r} imports {top}, which {allowed} may"
    return None


def test_no_room_imports_one_that_is_built_on_it():
    found = violations(PACKAGE)
    assert not found, "\n".join(["", *found])


def test_every_room_that_exists_is_seen():
    """The walk above is not empty by accident: it reads the rooms that are there."""
    rooms = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py"} - {"__init__"}
    rooms |= {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert {"errors", "spec", "kernels", "backend"} <= rooms <= set(ROOMS)


@pytest.mark.parametrize(
    ("file", "source", "complaint"),
    [
        ("spec/cell.py", "import lstm_ref.backend", "'backend' is built on it"),
        ("spec/cell.py", "from lstm_ref import layers", "'layers' is built on it"),
        ("spec/cell.py", "from lstm_ref.layers import LSTM", "'layers' is built on it"),
        ("spec/cell.py", "from .. import layers", "'layers' is built on it"),
        ("spec/cell.py", "from ..layers import LSTM", "'layers' is built on it"),
        ("spec/__init__.py", "from ..layers import LSTM", "'layers' is built on it"),
        ("spec/cell.py", "import lstm_ref as lr", "'lstm_ref' is built on it"),
        ("spec/cell.py", "from lstm_ref import LSTMParams", "'lstm_ref' is built on it"),
        ("spec/cell.py", "def f():\n    import lstm_ref.model", "'model' is built on it"),
        ("errors.py", "from . import conventions", "'conventions' is built on it"),
        (
            "spec/cell.py",
            "if TYPE_CHECKING:\n    from lstm_ref.model import Sequential",
            "'model' is built on it",
        ),
        (
            "spec/cell.py",
            "importlib.import_module('lstm_ref.model')",
            "'model' is built on it",
        ),
        ("spec/cell.py", "__import__('lstm_ref.model')", "'model' is built on it"),
        ("layers/lstm.py", "import_module(name)", "a module it does not name"),
        ("__init__.py", "import_module(name)", "a module it does not name"),
        ("layers/lstm.py", "import_module('.lstm', 'lstm_ref.kernels')", "it does not name"),
        ("layers/lstm.py", "import_module(f'lstm_ref.{x}')", "'lstm_ref' is built on it"),
        ("layers/lstm.py", "import_module(f'lstm_ref.model.{x}')", "'model' is built on it"),
        ("layers/lstm.py", "import_module(f'{package}.model')", "a module it does not name"),
        ("layers/lstm.py", "from lstm_ref.kernels import lstm", "which only backend may"),
        ("__init__.py", "from lstm_ref import kernels", "which only backend may"),
        ("__init__.py", "from lstm_ref.cli import main", "'cli' is built on it"),
        ("layers/lstm.py", "import lstm_ref.attic", "'attic' has no row"),
        ("attic.py", "", "'attic' has no row"),
        ("backend.py", "import numba", "imports numba, which kernels may"),
        ("layers/lstm.py", "from matplotlib import pyplot", "which plots may"),
        ("spec/activations.py", "def f():\n    import scipy.special", "which no room may"),
        ("formats/torch.py", "from pickle import Unpickler", "runs code found in a file"),
    ],
)
def test_a_planted_violation_is_reported(tmp_path, file, source, complaint):
    plant(tmp_path, file, source)
    (found,) = violations(tmp_path / "lstm_ref")
    place, _, sentence = found.partition(": ")
    assert place == f"lstm_ref/{file}:{max(1, len(source.splitlines()))}"
    assert complaint in sentence


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("spec/cell.py", "from lstm_ref.conventions import GATES\nfrom . import activations"),
        ("spec/cell.py", "import numpy as np\nimport math, json\nfrom os import path"),
        (
            "kernels/lstm.py",
            "import numba\nfrom llvmlite import ir\nfrom lstm_ref.spec import cell",
        ),
        ("backend.py", "def f():\n    from lstm_ref.kernels import lstm"),
        ("backend.py", "import_module(f'lstm_ref.kernels.{name}')"),
        ("__init__.py", "from .layers import LSTM\nfrom . import models"),
        ("cli/main.py", "from lstm_ref import load_model, cli\nfrom tqdm import tqdm"),
    ],
)
def test_what_is_allowed_is_not_reported(tmp_path, file, source):
    plant(tmp_path, file, source)
    assert violations(tmp_path / "lstm_ref") == []


def plant(folder: Path, file: str, source: str) -> None:
    """A package with empty rooms, and `source` in one of its files."""
    for room in ("spec", "kernels", "layers", "formats", "cli"):
        (folder / "lstm_ref" / room).mkdir(parents=True)
        (folder / "lstm_ref" / room / "__init__.py").touch()
    for file_room in ("errors", "conventions", "backend", "model", "models"):
        (folder / "lstm_ref" / f"{file_room}.py").touch()
    (folder / "lstm_ref" / file).write_text(source, encoding="utf-8")
