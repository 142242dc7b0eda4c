"""`import lstm_ref` costs NumPy and little else: no Numba, no extra, nothing written or started.

A new process does the import and tells, through Python's audit hook, what it opened on the way.
Modules are counted, seconds are not: a count is the same on every machine.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import lstm_ref

HEAVY = {
    "numba",
    "llvmlite",
    "tqdm",
    "h5py",
    "onnx",
    "onnxruntime",
    "safetensors",
    "matplotlib",
    "scipy",
    "pandas",
    "keras",
    "tensorflow",
    "torch",
}

# What NumPy itself loads is not counted. The package has some 150 modules of its own, and may use
# the standard library; a heavy import beside it brings hundreds.
MOST_MODULES = 230

PROBE = """
import sys, os
import numpy  # its own imports are not counted
before = set(sys.modules)

def threads():  # those of C libraries too, where the system shows them
    tasks = "/proc/self/task"
    if os.path.isdir(tasks):
        return len(os.listdir(tasks))
    import threading
    return threading.active_count()

threads_before = threads()
acts = []
watching = True

def watch(event, args):
    if not watching:
        return
    if event == "open":
        path, mode, flags = args
        writes = set(mode or "") & set("wax+")
        if writes or (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            acts.append(f"opens {path} for writing")
    elif event.split(".")[0] in ("socket", "subprocess", "ctypes", "urllib") or event in (
        "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.symlink", "os.link",
        "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "os.exec", "os.putenv",
        "shutil.rmtree", "tempfile.mkstemp", "tempfile.mkdtemp", "signal.signal",
    ):
        acts.append(event)

sys.addaudithook(watch)
import importlib
for name in sys.argv[1:]:
    importlib.import_module(name)
watching = False
if threads() > threads_before:
    acts.append("leaves a thread running")
import json
modules = sorted(set(sys.modules) - before)
print(json.dumps({"modules": modules, "acts": acts}))
"""


def what_importing_does(*modules: str, path: Path) -> dict:
    """The modules that importing `modules` brings beside NumPy's, and what else it does."""
    command = [sys.executable, "-B", "-c", PROBE, *modules]  # -B: bytecode is Python's own affair
    child = subprocess.run(command, cwd=path, capture_output=True, text=True, check=True)
    assert child.stderr == ""
    *printed, report = child.stdout.splitlines()
    report = json.loads(report)
    if printed:
        report["acts"].append(f"prints {printed}")
    return report


def complaints(report: dict) -> list[str]:
    heavy = sorted(HEAVY & {name.partition(".")[0] for name in report["modules"]})
    found = [f"imports {name}" for name in heavy] + report["acts"]
    if len(report["modules"]) > MOST_MODULES:
        found.append(f"imports {len(report['modules'])} modules, more than {MOST_MODULES}")
    return found


@pytest.mark.parametrize(
    "modules",
    [
        ("lstm_ref",),
        # What a program written for Keras imports.
        ("lstm_ref", "lstm_ref.layers", "lstm_ref.models", "lstm_ref.utils"),
    ],
    ids=" ".join,
)
def test_importing_brings_nothing_heavy_and_touches_nothing(modules):
    report = what_importing_does(*modules, path=Path(lstm_ref.__file__).parent.parent)
    assert set(modules) <= set(report["modules"])
    assert complaints(report) == []


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("import tqdm", "imports tqdm"),
        ("import numba", "imports numba"),
        ("open('left_behind.txt', 'w').close()", "opens left_behind.txt for writing"),
        ("import os; os.close(os.open('low', os.O_CREAT))", "opens low for writing"),
        ("import os; os.mkdir('cache')", "os.mkdir"),
        ("import subprocess; subprocess.run(['true'])", "subprocess.Popen"),
        ("import socket; socket.socket()", "socket.__new__"),
        (
            "from threading import *; Thread(target=Event().wait, daemon=True).start()",
            "leaves a thread running",
        ),
        ("print('welcome')", "prints ['welcome']"),
        (
            "import sys\nfor n in range(999): sys.modules[f'm{n}'] = sys",
            f"modules, more than {MOST_MODULES}",
        ),
    ],
)
def test_a_heavy_import_is_reported(tmp_path, source, complaint):
    (tmp_path / "planted.py").write_text(source, encoding="utf-8")
    found = complaints(what_importing_does("planted", path=tmp_path))
    assert any(complaint in sentence for sentence in found), found
