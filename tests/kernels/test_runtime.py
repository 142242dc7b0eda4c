"""The object code on disk: kept, checked, and never trusted when anything is off."""

import io
import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lstm_ref.kernels import runtime
from lstm_ref.kernels.activations import CODES
from tests.peers import OTHER_PLATFORM, ROOT

PROGRAM = """
import sys
import numpy as np
from lstm_ref.kernels.activations import activate
print(activate("tanh", np.array([0.5, -1.0], np.float32)).tolist(), "numba" in sys.modules)
"""
RIGHT = [round(float(np.tanh(v)), 6) for v in (0.5, -1.0)]


def run(
    folder: Path, program: str = PROGRAM, **environment: str
) -> subprocess.CompletedProcess[str]:
    """A new process that computes two values of tanh with its cache in that folder."""
    environment = {**os.environ, "LSTM_REF_CACHE_DIR": str(folder), **environment}
    environment.pop("NUMBA_DISABLE_JIT", None)
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", "-W", "error", "-c", program],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def values(process: subprocess.CompletedProcess[str]) -> tuple[list[float], bool]:
    """(the two values, whether Numba was imported)."""
    assert process.returncode == 0, process.stderr
    numbers, _, compiled = process.stdout.strip().rpartition(" ")
    return [round(float(v), 6) for v in numbers.strip("[]").split(",")], compiled == "True"


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a cache that was filled by a process of its own."""
    folder = tmp_path_factory.mktemp("filled") / "cache"
    process = run(folder)
    assert values(process) == (RIGHT, True)
    assert "compiling the float32 kernels" in process.stderr
    assert "lstm_backward" in process.stderr
    assert folder.stat().st_mode & 0o777 == 0o700
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def folder(warm: dict[str, bytes], tmp_path: Path) -> Path:
    """A copy of that cache to spoil."""
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o700)
    for name, data in warm.items():
        (folder / name).write_bytes(data)
    return folder


def activate_file(folder: Path) -> Path:
    (path,) = folder.glob("activate-float32-*.kernel")
    return path


def test_a_warm_start_imports_no_numba_and_says_nothing(folder: Path) -> None:
    process = run(folder)
    assert values(process) == (RIGHT, False)
    assert process.stderr == ""


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: b"", id="empty"),
        pytest.param(lambda data: data[: len(data) // 2], id="truncated"),
        pytest.param(lambda data: data[:-200] + bytes([data[-200] ^ 1]) + data[-199:], id="bit"),
        pytest.param(lambda data: data + b"more", id="longer"),
        pytest.param(lambda data: b"\x00" * len(data), id="zeros"),
    ],
)
def test_a_damaged_file_is_compiled_anew(damage, folder: Path, warm: dict[str, bytes]) -> None:  # type: ignore[no-untyped-def]
    path = activate_file(folder)
    path.write_bytes(damage(path.read_bytes()))
    process = run(folder)
    assert values(process) == (RIGHT, True)
    assert process.stderr.count("activate") == 1
    assert "lstm_forward" not in process.stderr  # what was sound is not compiled again
    assert values(run(folder)) == (RIGHT, False)  # and it has been mended


def test_every_flipped_byte_is_noticed(warm: dict[str, bytes]) -> None:
    data = next(d for name, d in warm.items() if name.startswith("activate"))
    assert runtime.ObjectCode.from_bytes(data) is not None
    for place in range(0, len(data), 97):
        spoilt = bytearray(data)
        spoilt[place] ^= 0x10
        assert runtime.ObjectCode.from_bytes(bytes(spoilt)) is None


def test_a_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    path = activate_file(folder)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert values(run(folder)) == (RIGHT, True)


def test_a_folder_that_others_may_write_to_is_not_used(folder: Path) -> None:
    folder.chmod(0o777)
    before = {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}
    assert values(run(folder)) == (RIGHT, True)
    assert {p.name: p.stat().st_mtime_ns for p in folder.iterdir()} == before


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert values(run(tmp_path / "file" / "cache")) == (RIGHT, True)


def test_a_folder_of_another_user_is_not_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not hasattr(os, "getuid"):
        pytest.skip(OTHER_PLATFORM + "users are not numbered")
    monkeypatch.setenv("LSTM_REF_CACHE_DIR", str(folder))
    assert runtime.cache_folder() == folder
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert runtime.cache_folder() is None
    assert runtime.read_object(activate_file(folder)) is None


def test_two_processes_may_compile_at_once(tmp_path: Path) -> None:
    environment = {**os.environ, "LSTM_REF_CACHE_DIR": str(tmp_path / "cache")}
    processes = [
        subprocess.Popen([sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]  # fmt: skip
    results = [process.communicate(timeout=300) for process in processes]
    for process, (out, err) in zip(processes, results, strict=True):
        assert process.returncode == 0, err
        assert out.endswith("True\n")
    assert not [p for p in (tmp_path / "cache").iterdir() if p.suffix != ".kernel"]
    assert values(run(tmp_path / "cache")) == (RIGHT, False)


def test_a_kernel_that_another_process_writes_while_we_look_is_no_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was not there at the first look, and was at the second."""
    monkeypatch.setenv("LSTM_REF_CACHE_DIR", str(folder))
    monkeypatch.setattr(runtime, "_loaded", {})
    looks, look = [], runtime.read_object
    monkeypatch.setattr(
        runtime,
        "read_object",
        lambda path: looks.append(path) or (look(path) if looks[1:] else None),
    )
    assert runtime.load("activate", np.dtype("float32")).name == "activate"


def test_a_file_that_cannot_be_written_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left on device")

    code = runtime.ObjectCode("symbol", ("p",), 1, (), b"code")
    with monkeypatch.context() as spoilt:
        spoilt.setattr(Path, "replace", full)
        runtime.write_object(tmp_path / "a.kernel", code)
    assert list(tmp_path.iterdir()) == []
    runtime.write_object(tmp_path / "a.kernel", code)
    assert runtime.read_object(tmp_path / "a.kernel") == code
    assert [path.name for path in tmp_path.iterdir()] == ["a.kernel"]


def test_a_user_without_a_home_folder_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs under a bare user number."""
    for name in ("LSTM_REF_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert runtime.cache_folder() is None


def test_progress_that_nobody_can_read_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    for stream in (None, closed):
        monkeypatch.setattr(sys, "stderr", stream)
        runtime.say("compiling")


def test_every_file_that_shapes_the_code_names_it() -> None:
    """The compiler's options and the file format are in ``runtime`` itself."""
    names = {path.relative_to(runtime.sources()[-1].parents[1]) for path in runtime.sources()}
    needed = {
        f"kernels/loops/{n}.py" for n in ("lstm", "product", "activations", "scalar", "vector")
    }
    assert names >= {Path(n) for n in (*needed, "kernels/runtime.py", "spec/activations.py")}


def test_numbas_file_of_settings_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plain = runtime.file_name("activate", np.dtype("float32"))
    (tmp_path / ".numba_config.yaml").write_text("opt: 0\n")
    assert runtime.file_name("activate", np.dtype("float32")) != plain


def test_the_processor_and_numbas_settings_name_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    float32 = np.dtype("float32")
    monkeypatch.delenv("NUMBA_CPU_NAME", raising=False)
    plain = runtime.file_name("activate", float32)
    assert plain == runtime.file_name("activate", float32)
    monkeypatch.setenv("NUMBA_CPU_NAME", "generic")
    assert runtime.file_name("activate", float32) != plain
    assert runtime.file_name("activate", np.dtype("float64")) != plain


def test_many_threads_may_ask_for_a_kernel_at_once(folder: Path) -> None:
    program = """
import threading, numpy as np
from lstm_ref.kernels.activations import activate
x = np.linspace(-3, 3, 1000, dtype=np.float32)
results = []
threads = [threading.Thread(target=lambda: results.append(activate("tanh", x))) for _ in range(32)]
[t.start() for t in threads]; [t.join() for t in threads]
print([float(all((r == results[0]).all() for r in results)), float(len(results))], False)
"""
    assert values(run(folder, program))[0] == [1.0, 32.0]


def test_wrong_arrays_are_refused_before_the_loops_see_them() -> None:
    kernel = runtime.kernel("activate", np.dtype("float32"))
    good = np.zeros(4, np.float32)
    rest = {"code": 1, "parameters": np.zeros(2, np.float32), "count": 4}
    with pytest.raises(TypeError, match="p must be contiguous and float32"):
        kernel(p=np.zeros(4), **rest)
    strided = np.zeros(8, np.float32)[::2]
    with pytest.raises(TypeError, match="strides"):
        kernel(p=strided, **rest)
    strided.flags.writeable = False  # which takes another way to the loops
    with pytest.raises(TypeError, match="strides"):
        kernel(p=strided, **rest)
    with pytest.raises(TypeError, match="takes parameters, p, code, count"):
        kernel(code=1, p=good)
    del rest["count"]
    with pytest.raises(KeyError, match="count"):
        kernel(p=good, size=4, **rest)


def test_other_threads_run_while_a_kernel_does() -> None:
    """The GIL is released: this thread counts on while another one is in the loops."""
    kernel = runtime.kernel("activate", np.dtype("float64"))
    big = np.full(5_000_000, 0.3)
    started, done = threading.Event(), threading.Event()

    def compute() -> None:
        started.set()
        try:
            kernel(code=CODES["gelu"], parameters=np.zeros(2), p=big, count=big.size)
        finally:
            done.set()

    thread = threading.Thread(target=compute)
    thread.start()
    started.wait()
    count = 0
    while not done.is_set():
        time.sleep(0.001)
        count += 1
    thread.join()
    assert count > 50  # with the GIL held it would be one or two


def test_code_that_needs_what_is_not_there_is_compiled_anew(folder: Path) -> None:
    """A call into nothing would be a crash: a file of another Numba may need another helper."""
    path = activate_file(folder)
    kept = runtime.read_object(path)
    assert kept is not None
    assert "numba_gil_ensure" in kept.externals
    runtime.write_object(path, replace(kept, externals=(*kept.externals, "a_function_of_nobody")))
    assert values(run(folder)) == (RIGHT, True)
    assert values(run(folder)) == (RIGHT, False)


def test_the_externals_are_all_that_the_code_refers_to(warm: dict[str, bytes]) -> None:
    """The undefined symbols of the object files, as binutils sees them."""
    nm = shutil.which("nm")
    if nm is None:
        pytest.skip(OTHER_PLATFORM + "nm is not installed")
    for data in warm.values():
        kept = runtime.ObjectCode.from_bytes(data)
        assert kept is not None
        listed = subprocess.run(
            [nm, "-u", "-"], input=kept.code, capture_output=True, check=False
        ).stdout.decode()
        undefined = {line.split()[-1] for line in listed.splitlines()}
        of_the_c_library = {"memset", "memcpy", "memmove", "fma", "fmaf"}
        assert undefined <= {*kept.externals, *of_the_c_library}
