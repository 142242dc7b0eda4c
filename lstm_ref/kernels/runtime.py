"""Compiles the loops once per machine, keeps the object code on disk, and calls it.

A kernel is a C function: it takes a block of pointers and 64-bit integers, and releases the GIL
while it runs.
Numba is imported only to compile one. What was compiled is kept as plain object code, one file a
kernel, and loaded by llvmlite in later processes, which start without Numba.

**What is kept, where, and how it is checked.** The folder is ``LSTM_REF_CACHE_DIR``, or
``lstm_ref`` in the user's cache folder. It must belong to the user and be writable by no one else
(0700 when made here); otherwise nothing is read from it or written to it. A file's name holds a
hash of everything the code depends on: the sources of the kernels, the versions of Python, Numba
and llvmlite, the processor, and Numba's settings. Its first bytes are the SHA-256 of the rest,
checked before use. A file that is absent, truncated, damaged or foreign is compiled anew, never
trusted. Files are written whole or not at all, so that several processes may compile at once.
"""

import ctypes
import hashlib
import inspect
import json
import os
import stat
import sys
import tempfile
import threading
import time
from array import array
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from importlib.metadata import version
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np

from lstm_ref import threads
from lstm_ref.conventions import Array
from lstm_ref.kernels import memory
from lstm_ref.kernels.loops import plain

KERNELS = {
    "lstm_forward": "lstm",
    "lstm_backward": "lstm",
    "add_product": "product",
    "multiply": "product",
    "pack_panels": "packing",
    "activate": "activations",
    "scale_by_derivative": "activations",
}
"""The compiled functions, and the modules of ``loops`` they are in."""

DIGEST_BYTES = hashlib.sha256().digest_size
MAX_OBJECT_BYTES = 64 << 20
BYTE = np.dtype(np.uint8)

_lock = threading.RLock()
if hasattr(os, "register_at_fork"):  # another thread of the parent may hold it for ever in a child
    os.register_at_fork(after_in_child=lambda: globals().update(_lock=threading.RLock()))
_loaded: dict[tuple[str, np.dtype[Any]], "Kernel"] = {}
_keep_alive: list[Any] = []  # engines and compiled functions own the code that addresses point to


@dataclass(frozen=True)
class ObjectCode:
    """A compiled kernel as bytes.

    Attributes:
        symbol: the function to call in it.
        parameters: its parameters, in the order of the block; see `block_order`.
        buffers: how many are buffers.
        externals: what the code refers to outside itself, and needs when it is loaded.
        code: the object file.
    """

    symbol: str
    parameters: tuple[str, ...]
    buffers: int
    externals: tuple[str, ...]
    code: bytes

    def to_bytes(self) -> bytes:
        """Digest, length of the header, header, code."""
        fields = [self.symbol, self.parameters, self.buffers, self.externals]
        header = json.dumps(fields).encode()
        body = len(header).to_bytes(4, "little") + header + self.code
        return hashlib.sha256(body).digest() + body

    @staticmethod
    def from_bytes(data: bytes) -> "ObjectCode | None":
        """The object code, or None when the bytes are not exactly what was written."""
        digest, body = data[:DIGEST_BYTES], data[DIGEST_BYTES:]
        if hashlib.sha256(body).digest() != digest:
            return None
        end = 4 + int.from_bytes(body[:4], "little")
        symbol, parameters, buffers, externals = json.loads(body[4:end])
        return ObjectCode(symbol, tuple(parameters), buffers, tuple(externals), body[end:])


dtype_of = attrgetter("dtype")
is_writeable = attrgetter("flags.writeable")
is_contiguous = attrgetter("flags.c_contiguous")
number_at: Any = ctypes.c_char.from_buffer
"""The first number of an array that is contiguous, may be written into, and is not empty."""
number_at = ctypes.c_char.from_buffer


class Kernel:
    """A compiled function, called with its parameters by name: arrays and integers.

    They reach it as a block of 64-bit integers, which takes less time than many arguments would.
    Arrays must be C-contiguous and of the kernel's dtype, or bytes: the loops trust them.
    """

    def __init__(
        self,
        name: str,
        dtype: np.dtype[Any],
        parameters: tuple[str, ...],
        buffers: int,
        function: Any,
    ) -> None:
        self.name = name
        self.dtypes = {dtype, BYTE}
        self.parameters = parameters
        self.buffers_of = itemgetter(*parameters[:buffers])
        self.sizes_of = itemgetter(*parameters[buffers:])
        self.function = function

    def __call__(self, **arguments: Any) -> None:
        """Run the loops on these buffers and sizes, named as their parameters."""
        self.check_count(len(arguments))
        self.run(self.buffers_of(arguments), array("q", self.sizes_of(arguments)))

    def over_rows(self, blocks: list[tuple[int, int]], **arguments: Any) -> None:
        """Run the loops on blocks of rows, ``first_row`` to ``end_row``, at once if there are many.

        The kernel must be one whose rows do not meet.
        """
        self.check_count(len(arguments) + 2)
        arguments["first_row"], arguments["end_row"] = blocks[0]
        buffers, sizes = self.buffers_of(arguments), array("q", self.sizes_of(arguments))
        if len(blocks) == 1:
            self.run(buffers, sizes)
            return
        # Each piece holds the arrays: should its caller be interrupted, they outlive the piece.
        cut = [sizes[:-2] + array("q", block) for block in blocks]
        threads.run([partial(self.run, buffers, of_block) for of_block in cut])

    def check_count(self, count: int) -> None:
        """Raise TypeError when so many arguments cannot be those of the function."""
        if count != len(self.parameters):
            raise TypeError(f"{self.name} takes {', '.join(self.parameters)}")

    def run(self, buffers: tuple[Array, ...], sizes: "array[int]") -> None:
        """Call the function with what it reads its arguments from, a block of 64-bit integers."""
        block = self.addresses(buffers) + sizes
        self.function(block.buffer_info()[0])

    def addresses(self, buffers: tuple[Array, ...]) -> "array[int]":
        """Where the numbers of the buffers begin, once they are as the loops read them."""
        if not self.dtypes.issuperset(map(dtype_of, buffers)):
            self.refuse(buffers)
        try:
            if all(map(is_writeable, buffers)):
                return array("q", map(ctypes.addressof, map(number_at, buffers)))
        except (TypeError, ValueError):  # one is not contiguous, or it is empty
            self.refuse(buffers)
        if not all(map(is_contiguous, buffers)):
            self.refuse(buffers)
        return array("q", map(memory.address, buffers))

    def refuse(self, buffers: tuple[Array, ...]) -> None:
        """Raise TypeError for the first buffer that the loops cannot read, if there is one."""
        for parameter, value in zip(self.parameters, buffers, strict=False):
            if not value.flags.c_contiguous or value.dtype not in self.dtypes:
                needed = next(iter(self.dtypes - {BYTE}))
                raise TypeError(
                    f"{self.name}: {parameter} must be contiguous and {needed}, and is "
                    f"{value.dtype} with strides {value.strides}"
                )


class InterpretedKernel(Kernel):
    """The same function walked through by Python, when Numba's JIT is switched off."""

    def run(self, buffers: tuple[Array, ...], sizes: "array[int]") -> None:
        """Call the Python function with numbers, and with buffers whose bounds are watched."""
        self.refuse(buffers)
        values = (*(plain.Buffer(buffer.reshape(-1)) for buffer in buffers), *sizes)
        self.function(**dict(zip(self.parameters, values, strict=True)))


def kernel(name: str, dtype: np.dtype[Any]) -> Kernel:
    """The kernel of that name for float32 or float64, compiled or loaded at its first use."""
    found = _loaded.get((name, dtype))
    if found is None:
        with _lock:
            found = _loaded.get((name, dtype)) or load(name, dtype)
            _loaded[name, dtype] = found
    return found


def load(name: str, dtype: np.dtype[Any]) -> Kernel:
    """The kernel from disk if it is there and sound; else everything missing is compiled."""
    if jit_is_off():
        function = getattr(loops_module(name), name)
        return InterpretedKernel(name, dtype, *block_order(function), function)
    folder = cache_folder()
    kept = None if folder is None else read_object(folder / file_name(name, dtype))
    address = None if kept is None else address_of(kept)
    if kept is not None and address is not None:
        return Kernel(name, dtype, kept.parameters, kept.buffers, c_function(address))
    for other, function in compile_all(name, dtype, folder).items():
        _loaded.setdefault((other, dtype), function)
    return _loaded[name, dtype]


def jit_is_off() -> bool:
    """Whether Numba was told not to compile, by its environment variable or in the program."""
    if "numba" in sys.modules:
        return bool(sys.modules["numba"].config.DISABLE_JIT)
    return os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")


# Compiling


def compile_all(wanted: str, dtype: np.dtype[Any], folder: Path | None) -> dict[str, Kernel]:
    """Compile the wanted kernel, and all others for the dtype that are not on disk yet.

    The wanted one is compiled even if another process has put it there meanwhile.
    """
    missing = [
        name
        for name in KERNELS
        if name == wanted
        or (
            (name, dtype) not in _loaded
            and (folder is None or read_object(folder / file_name(name, dtype)) is None)
        )
    ]
    start = time.perf_counter()
    say(f"lstm_ref: compiling the {dtype} kernels for this processor, the first time only:")
    kernels = {}
    for name in missing:
        say(f" {name}")
        compiled, address = compile_kernel(name, dtype)
        if folder is not None:
            write_object(folder / file_name(name, dtype), compiled)
        called = c_function(address)
        kernels[name] = Kernel(name, dtype, compiled.parameters, compiled.buffers, called)
    say(f" ({time.perf_counter() - start:.1f} s)\n")
    return kernels


def compile_kernel(name: str, dtype: np.dtype[Any]) -> tuple[ObjectCode, int]:
    """Compile one kernel as a C function: its object code, and its address in this process."""
    import numba
    from numba import types

    loops = getattr(loops_module(name), name)
    vector = import_module("lstm_ref.kernels.loops.vector")
    kinds = {
        vector.Buffer: types.CPointer(numba.from_dtype(dtype)),
        vector.Bytes: types.CPointer(types.uint8),
        vector.Size: types.int64,
    }
    hints = get_type_hints(loops.py_func, include_extras=True)
    names = inspect.signature(loops.py_func).parameters
    parameters, buffers = block_order(loops.py_func)
    places = [parameters.index(name) for name in names]
    arguments = vector.arguments_of([kinds[hints[name]] for name in names], places)

    def read_arguments_and_run(block: Any) -> None:
        loops(*arguments(block))

    signature = types.void(types.CPointer(types.int64))
    compiled = numba.cfunc(signature, error_model="numpy")(read_arguments_and_run)
    _keep_alive.append(compiled)
    library = compiled._library  # noqa: SLF001  (no public way to the object code)
    module = library._final_module  # noqa: SLF001
    named = [*module.functions, *module.global_variables]
    externals = {item.name for item in named if item.is_declaration}
    kept = ObjectCode(
        compiled.native_name,
        parameters,
        buffers,
        tuple(sorted(name for name in externals if not name.startswith("llvm."))),
        library._get_compiled_object(),  # noqa: SLF001
    )
    return kept, compiled.address


def loops_module(name: str) -> Any:
    """The module that holds the source of a kernel. Importing it imports Numba."""
    return import_module(f"lstm_ref.kernels.loops.{KERNELS[name]}")


ROWS = ("first_row", "end_row")
"""What differs between the threads that share a call."""


def block_order(function: Callable[..., None]) -> tuple[tuple[str, ...], int]:
    """The parameters of a function in the order of the block, and how many of them are buffers.

    Buffers come first, then sizes, the rows last of all.
    """
    hints = get_type_hints(function, include_extras=True)
    names = list(inspect.signature(function).parameters)
    buffers = [name for name in names if hints[name] is not int]
    sizes = [name for name in names if hints[name] is int and name not in ROWS]
    rows = [name for name in ROWS if name in names]
    return (*buffers, *sizes, *rows), len(buffers)


def say(text: str) -> None:
    """Part of a line of progress, on standard error where there is one that takes it."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):  # a broken pipe, a closed file
            sys.stderr.write(text)
            sys.stderr.flush()


# Loading


NUMBA_PREFIXES = ("numba_", "NRT_")
"""Helpers of Numba that its wrapper would call if a kernel raised. None does; where Numba is not
imported, something harmless stands in for them."""


def address_of(kept: ObjectCode) -> int | None:
    """Put object code into this process's memory; the address of its function.

    None when the code calls something that is not in this process: LLVM would not say so, it would
    leave the calls pointing nowhere.
    """
    import llvmlite.binding as llvm

    machine = target().create_target_machine(jit=True)
    # The engine comes first: it makes the symbols of this process known to LLVM.
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    harmless = ctypes.cast(ctypes.pythonapi.Py_IsInitialized, ctypes.c_void_p).value
    for name in kept.externals:
        if llvm.address_of_symbol(name) is None:
            if not name.startswith(NUMBA_PREFIXES):
                return None
            llvm.add_symbol(name, harmless)
    engine.add_object_file(llvm.ObjectFileRef.from_data(kept.code))
    _keep_alive.append(engine)
    return int(engine.get_function_address(kept.symbol)) or None


@cache
def target() -> Any:
    """LLVM's description of this machine."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple()


def c_function(address: int) -> Any:
    """The C function at an address, which takes one; the GIL is released while it runs."""
    return ctypes.CFUNCTYPE(None, ctypes.c_int64)(address)


# The files


def cache_folder() -> Path | None:
    """The folder for object code, made if need be; None where there is no safe one."""
    try:
        folder = Path(os.environ.get("LSTM_REF_CACHE_DIR") or user_cache() / "lstm_ref")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except (OSError, RuntimeError):  # RuntimeError: a user without a home folder
        return None
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022):
        return None
    return folder


def user_cache() -> Path:
    """Where this system keeps a user's caches."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", "~")).expanduser()
    if sys.platform == "darwin":
        return Path("~/Library/Caches").expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()


def file_name(name: str, dtype: np.dtype[Any]) -> str:
    """A kernel's file: its name, and a hash of what it depends on."""
    return f"{name}-{dtype.name}-{environment_key(settings())[:24]}.kernel"


def settings() -> Mapping[str, str]:
    """Numba's settings, in the environment and in its file; they may change what it compiles."""
    found = {name: value for name, value in os.environ.items() if name.startswith("NUMBA_")}
    with suppress(OSError):
        found[NUMBA_FILE.name] = NUMBA_FILE.read_bytes().hex()
    return found


NUMBA_FILE = Path(".numba_config.yaml")
"""Where Numba looks for settings too: in the folder the process runs in."""


def environment_key(numba_settings: Mapping[str, str]) -> str:
    """A hash of everything that the object code depends on."""
    return _environment_key(tuple(sorted(numba_settings.items())))


@cache
def _environment_key(numba_settings: tuple[tuple[str, str], ...]) -> str:
    import llvmlite.binding as llvm

    parts = [
        *(path.read_bytes() for path in sources()),
        version("numba"),
        version("llvmlite"),
        sys.version,
        target().triple,
        llvm.get_host_cpu_name(),
        llvm.get_host_cpu_features().flatten(),
        numba_settings,
    ]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def sources() -> list[Path]:
    """The files that say what is compiled and how: this one among them, and its file format."""
    here = Path(__file__).parent
    return [*sorted(here.rglob("*.py")), here.parent / "spec" / "activations.py"]


def read_object(path: Path) -> ObjectCode | None:
    """The object code in a file, or None when the file is not there, not whole or not ours."""
    try:
        status = path.lstat()
        regular = stat.S_ISREG(status.st_mode) and status.st_size <= MAX_OBJECT_BYTES
        ours = not hasattr(os, "getuid") or status.st_uid == os.getuid()
        return ObjectCode.from_bytes(path.read_bytes()) if regular and ours else None
    except OSError:
        return None


def write_object(path: Path, compiled: ObjectCode) -> None:
    """Write a file whole or not at all; a folder that cannot be written to is no error."""
    with suppress(OSError):
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            unfinished = Path(file.name)
        try:
            unfinished.write_bytes(compiled.to_bytes())
            unfinished.replace(path)
        except OSError:  # a full disk, a file that another process holds open
            unfinished.unlink()
