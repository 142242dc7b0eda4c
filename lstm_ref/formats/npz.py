"""The ``.npz`` format: NumPy's own archive, with the configuration beside the weights.

A zip file whose members are stored, never compressed:

    model.json              {"format": "lstm_ref", "version": 1, "config": {...},
                             "metadata": {...}, "weights": ["lstm/kernel", ...],
                             "training": {"numbers": {...}, "arrays": [...]}}
    lstm/kernel.npy         one array each, float32 or float64, in the order of "weights"
    lstm/recurrent_kernel.npy
    ...
    @training/....npy       what a training goes on from, in the order of its "arrays"

``np.load(path)["lstm/kernel"]`` opens it anywhere. The same record gives the same bytes.

Reading allocates nothing that the file's own size does not vouch for: members are stored, every
size is compared with the bytes that are there, and so are the shapes that the arrays declare. No
pickle: an array of objects is refused. Nothing in the file chooses what is executed.
"""

import io
import math
import re
import stat
import struct
import zipfile
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from lstm_ref.conventions import DTYPES, Array
from lstm_ref.errors import ModelFormatError
from lstm_ref.formats import strict_json
from lstm_ref.formats.atomic import atomic_write
from lstm_ref.formats.record import ModelRecord, TrainingRecord

VERSION = 1
MANIFEST = "model.json"
KEYS = {"format", "version", "config", "metadata", "weights"}  # and "training", where there is one
TRAINING = "@training/"
"""Begins the names of arrays that are no weights."""

# Far beyond any model this package can run, and small enough that reading stays harmless.
MAX_FILE = 2**31 - 1  # bytes; also what a zip without 64-bit extensions can hold
MAX_MANIFEST = 2**24  # bytes of JSON
MAX_MEMBERS = 10_000
MAX_AXES = 8

# The end record of a zip file without a comment, and the mark of the 64-bit one before it.
END = struct.Struct("<4s4H2LH")
END_MARK, END64_MARK = b"PK\x05\x06", b"PK\x06\x07"
ENCRYPTED = 0x1

NPY_MAGIC = b"\x93NUMPY\x01\x00"
NPY_HEADER = re.compile(
    r"\{'descr': '(?P<descr>[^']{1,40})', 'fortran_order': (?P<fortran>True|False), "
    r"'shape': \((?P<shape>[0-9, ]*)\), \} *\n"
)
NPY_DTYPES = {mark + dtype.str[1:]: dtype for dtype in DTYPES for mark in "<>"}


class Format(Protocol):
    """What every module of this folder that stands for a format can do."""

    def write(self, path: Path, record: ModelRecord) -> None:
        """Write the record, atomically."""

    def read(self, path: Path) -> ModelRecord:
        """Read a record, or raise ModelFormatError."""


# Writing.


def write(path: Path, record: ModelRecord) -> None:
    """Write the record as an ``.npz`` file, atomically.

    Raises:
        TypeError, ValueError: something JSON cannot hold, or weights that are not named arrays of
            float32 or float64; nothing is written then.
        OSError: the file cannot be written.
    """
    training, arrays = record.training, dict(record.weights)
    if training is not None:
        arrays |= {f"{TRAINING}{name}": array for name, array in training.arrays.items()}
    for name, array in arrays.items():
        if not _sound_name(name) or (name in record.weights and name.startswith(TRAINING)):
            raise ValueError(f"{name!r} cannot name a weight in a file: rename its layer")
        if _native(array) not in DTYPES:
            raise TypeError(f"{name} has dtype {array.dtype}: a file holds float32 and float64")
    manifest = {
        "format": "lstm_ref",
        "version": VERSION,
        "config": record.config,
        "metadata": record.metadata,
        "weights": list(record.weights),
    }
    if training is not None:
        manifest["training"] = {"numbers": training.numbers, "arrays": list(training.arrays)}
    for key in ("config", "metadata", "training"):
        strict_json.dumps(manifest.get(key), key)  # for the name in the message
    text = strict_json.dumps(manifest, MANIFEST).encode()
    if len(text) > MAX_MANIFEST:
        raise ValueError(f"config and metadata take {len(text)} bytes, {MAX_MANIFEST} are the most")
    with (
        atomic_write(path) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=False) as archive,
    ):
        archive.writestr(_member(MANIFEST), text)
        for name, array in arrays.items():
            buffer = io.BytesIO()
            plain = np.asarray(array, _native(array), order="C")
            np.lib.format.write_array(buffer, plain, version=(1, 0), allow_pickle=False)
            archive.writestr(_member(f"{name}.npy"), buffer.getvalue())


def _member(name: str) -> zipfile.ZipInfo:
    """A member with the zip format's first date, so that bytes depend on the record alone."""
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    info.external_attr = 0o644 << 16
    return info


def _native(array: Array) -> np.dtype[Any]:
    return array.dtype.newbyteorder("=")


def _sound_name(name: Any) -> bool:
    """Whether a weight's name comes back from a zip file as it was, and is no path out of it."""
    return (
        isinstance(name, str)
        and name.isprintable()
        and len(name) <= 500
        and not {"\\", ":"} & set(name)
        and all(part not in ("", ".", "..") for part in name.split("/"))
        and name.encode("utf-8", "replace").decode() == name
    )


# Reading.


def read(path: Path) -> ModelRecord:
    """Read an ``.npz`` file that `write` wrote.

    Raises:
        ModelFormatError: anything else, saying what is wrong, and where.
        FileNotFoundError, PermissionError: no file there, or none that may be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ModelFormatError(f"{path} is not a file")
    try:
        with path.open("rb") as file:
            return _read(file)
    except ModelFormatError as error:
        raise ModelFormatError(f"{path}: {error}") from error
    # What zipfile raises for bytes it cannot make sense of.
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        EOFError,
        OverflowError,
        ValueError,
        struct.error,
    ) as error:
        raise ModelFormatError(f"{path} is a damaged zip file: {error}") from error


def _read(file: BinaryIO) -> ModelRecord:
    size = _check_directory(file)
    with zipfile.ZipFile(file) as archive:
        members = _members(archive, size)
        if MANIFEST not in members:
            raise ModelFormatError(
                f"there is no {MANIFEST} in it: a file of np.savez holds arrays, not a model; "
                "model.save(...) writes one"
            )
        manifest = _manifest(archive, members.pop(MANIFEST))
        weights = _arrays(archive, members, manifest["weights"])
        training = None
        if "training" in manifest:
            names = [f"{TRAINING}{name}" for name in manifest["training"]["arrays"]]
            arrays = _arrays(archive, members, names).items()
            training = TrainingRecord(
                {name.removeprefix(TRAINING): array for name, array in arrays},
                manifest["training"]["numbers"],
            )
        for name in members:
            raise ModelFormatError(f"{name!r} is in it, and {MANIFEST} does not speak of it")
    return ModelRecord(manifest["config"], weights, manifest["metadata"], training)


def _arrays(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], names: list[str]
) -> dict[str, Array]:
    """The named arrays, taken out of the members."""
    arrays = {}
    for name in names:
        if f"{name}.npy" not in members:
            raise ModelFormatError(f"the weight {name!r} is missing")
        member = members.pop(f"{name}.npy")
        arrays[name] = _array(archive.read(member), member.filename)
    return arrays


def _check_directory(file: BinaryIO) -> int:
    """The file's size, once its end record is the plain one and promises a small directory.

    zipfile would read a directory of any size into memory, so its size is looked at before.
    """
    size = file.seek(0, io.SEEK_END)
    if size == 0:
        raise ModelFormatError("the file is empty")
    if size > MAX_FILE:
        raise ModelFormatError(f"{size} bytes are more than the {MAX_FILE} a model file may have")
    file.seek(0)
    begins_as_zip = file.read(2) == END_MARK[:2]
    tail = min(size, END.size + 20)  # 20 bytes: the locator of a 64-bit end record
    file.seek(size - tail)
    ending = file.read(tail)
    if not begins_as_zip:
        raise ModelFormatError("the file is not a zip file, as .npz files are")
    if len(ending) < END.size or not ending[-END.size :].startswith(END_MARK):
        raise ModelFormatError("the file is cut off, or something was appended to it")
    _, _, _, _, count, directory, _, _ = END.unpack(ending[-END.size :])
    if ending.startswith(END64_MARK) or count > MAX_MEMBERS or directory > 1000 * MAX_MEMBERS:
        raise ModelFormatError(f"{count} members in {directory} bytes are no model's directory")
    return size


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """The members by name: each name once, stored, and within the file."""
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename
        if name in members:
            raise ModelFormatError(f"{name!r} is in it twice")
        if info.flag_bits & ENCRYPTED:
            raise ModelFormatError(f"{name!r} is encrypted")
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise ModelFormatError(f"{name!r} is compressed, and a model's members are stored")
        if info.header_offset < 0:
            raise ModelFormatError(f"{name!r} begins before the file does")
        members[name] = info
    if sum(info.file_size for info in members.values()) > size:
        raise ModelFormatError(f"the members claim more bytes than the {size} of the file")
    return members


def _manifest(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> dict[str, Any]:
    """The manifest, every part of it of the type it should have."""
    if member.file_size > MAX_MANIFEST:
        raise ModelFormatError(f"{MANIFEST} has {member.file_size} bytes")
    content = archive.read(member)
    try:
        manifest = strict_json.loads(content.decode("utf-8"))
    except ValueError as error:
        raise ModelFormatError(f"{MANIFEST} cannot be read: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != "lstm_ref":
        raise ModelFormatError(f"{MANIFEST} does not say that it describes a model of lstm_ref")
    if manifest.get("version") != VERSION or manifest.get("version") is True:
        raise ModelFormatError(
            f"its format has version {manifest.get('version')!r}, and this lstm_ref reads version "
            f"{VERSION}: a newer lstm_ref may read it"
        )
    keys = KEYS | {"training"} if "training" in manifest else KEYS
    _check_object(manifest, keys, "", {"config": dict, "metadata": dict, "weights": list})
    _check_names(manifest["weights"], "weights")
    if "training" in manifest:
        training = manifest["training"]
        _check_object(
            training, {"numbers", "arrays"}, "training: ", {"numbers": dict, "arrays": list}
        )
        _check_names(training["arrays"], "arrays")
    return manifest


def _check_object(value: Any, keys: set[str], where: str, types: dict[str, type]) -> None:
    """Raise ModelFormatError unless an object of the manifest has these keys, so typed."""
    found = sorted(value) if isinstance(value, dict) else type(value).__name__
    if found != sorted(keys):
        raise ModelFormatError(f"{MANIFEST}: {where}{sorted(keys)} are needed, and {found} came")
    for key, kind in types.items():
        if not isinstance(value[key], kind):
            raise ModelFormatError(f"{MANIFEST}: {where}{key!r} is no {kind.__name__}")


def _check_names(names: list[Any], key: str) -> None:
    """Raise ModelFormatError unless a list of the manifest names arrays, each once."""
    for name in names:
        if not _sound_name(name):
            raise ModelFormatError(f"{MANIFEST}: {name!r} cannot name a weight")
    if len(set(names)) != len(names):
        raise ModelFormatError(f"{MANIFEST}: {key!r} names one of them twice")


def _array(content: bytes, member: str) -> Array:
    """The array of a ``.npy`` member, in native byte order."""
    start = len(NPY_MAGIC) + 2
    if len(content) < start or not content.startswith(NPY_MAGIC):
        raise ModelFormatError(f"{member!r} is no .npy array of version 1.0")
    data = start + int.from_bytes(content[start - 2 : start], "little")
    found = NPY_HEADER.fullmatch(content[start:data].decode("latin-1"))
    if found is None:
        raise ModelFormatError(f"{member!r} has a damaged header")
    descr, fortran, text = found.group("descr", "fortran", "shape")
    if descr not in NPY_DTYPES:
        what = "Python objects, which only pickle could read" if "O" in descr else f"{descr!r}"
        raise ModelFormatError(f"{member!r} holds {what}: weights are float32 or float64")
    lengths = [length.strip() for length in text.removesuffix(",").split(",")] if text else []
    if len(lengths) > MAX_AXES or not all(re.fullmatch("[0-9]{1,10}", n) for n in lengths):
        raise ModelFormatError(f"{member!r} has the shape ({text[:80]})")
    shape = tuple(map(int, lengths))
    dtype: np.dtype[Any] = np.dtype(descr)
    if math.prod(max(n, 1) for n in shape) > MAX_FILE:  # NumPy refuses such axes beside a 0, too
        raise ModelFormatError(f"{member!r} has the shape {shape}")
    needed, there = math.prod(shape) * dtype.itemsize, len(content) - data
    if needed != there:
        raise ModelFormatError(
            f"{member!r} says {dtype} of shape {shape}, {needed} bytes, and {there} are there"
        )
    flat: Array = np.frombuffer(content, dtype, offset=data)
    array = flat.reshape(shape, order="F" if fortran == "True" else "C")
    return array.astype(NPY_DTYPES[descr], order="C")  # a copy, native and writable
