"""The .npz format: what is written comes back, and any other bytes are refused in a sentence."""

import io
import json
import os
import struct
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lstm_ref.errors import ModelFormatError, UnsupportedError
from lstm_ref.formats import ModelRecord, TrainingRecord, npz, read, write

CONFIG = {"class_name": "Sequential", "config": {"name": "sequential", "layers": []}}
METADATA = {"columns": ["temperature"], "note": "°C", "n": 3, "ok": True, "nothing": None}


@pytest.fixture
def record(rng) -> ModelRecord:
    return ModelRecord(
        CONFIG,
        {
            "lstm/kernel": rng.normal(size=(2, 12)).astype(np.float32),
            "lstm/recurrent_kernel": rng.normal(size=(3, 12)).astype(np.float32),
            "dense/bias": rng.normal(size=1),
        },
        METADATA,
    )


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "model.npz"


def assert_equal_records(a: ModelRecord, b: ModelRecord) -> None:
    assert (a.config, a.metadata) == (b.config, b.metadata)
    assert_equal_arrays(a.weights, b.weights)
    assert (a.training is None) == (b.training is None)
    if a.training is not None:
        assert a.training.numbers == b.training.numbers
        assert_equal_arrays(a.training.arrays, b.training.arrays)


def assert_equal_arrays(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    assert list(a) == list(b)  # the order, too
    for name, array in a.items():
        np.testing.assert_array_equal(b[name], array, strict=True)


# What is written comes back.

names = st.lists(st.text("abcé_ 1", min_size=1, max_size=5), min_size=1, max_size=3).map("/".join)
arrays = hnp.arrays(
    st.sampled_from([np.float32, np.float64]),
    hnp.array_shapes(min_dims=0, min_side=0, max_side=4),
)


@settings(max_examples=50)
@given(weights=st.dictionaries(names, arrays, max_size=4), name=st.text(max_size=9))
def test_what_is_written_comes_back(tmp_path_factory, weights, name):
    path = tmp_path_factory.mktemp("npz") / "m.npz"
    record = ModelRecord({"name": name}, weights, {"list": [name, 1.5, None]})
    write(path, record)
    assert_equal_records(record, read(str(path)))


def test_what_a_training_goes_on_from_comes_back(record, path):
    arrays = {f"optimizer/velocity/{name}": w * w for name, w in record.weights.items()}
    numbers = {"optimizer": {"iterations": 7}, "dropout": {"lstm": {"state": 2**120 + 1}}}
    record = replace(record, training=TrainingRecord(arrays, numbers))
    write(path, record)
    assert_equal_records(record, read(path))


def test_a_weight_cannot_pass_for_something_of_the_training(record, path):
    weights = {"@training/w": np.zeros(2)}
    with pytest.raises(ValueError, match="rename its layer"):
        write(path, replace(record, weights=weights))
    assert not path.exists()


def test_numpy_opens_it_without_pickle(record, path):
    write(path, record)
    with np.load(path, allow_pickle=False) as archive:
        for name, array in record.weights.items():
            np.testing.assert_array_equal(archive[name], array, strict=True)


@pytest.mark.parametrize(
    "layout",
    [
        np.asfortranarray,
        lambda a: a[::-1][:, ::-2],
        lambda a: a.T,
        lambda a: a.astype(a.dtype.newbyteorder(">")),
    ],
    ids=["fortran", "strides", "transposed", "big-endian"],
)
def test_memory_layouts_are_told_apart_from_values(record, path, layout):
    array = layout(record.weights["lstm/kernel"])
    write(path, ModelRecord(CONFIG, {"w": array}))
    back = read(path).weights["w"]
    np.testing.assert_array_equal(back, array)
    assert back.dtype == np.float32
    assert back.dtype.isnative
    assert back.flags.c_contiguous
    assert back.flags.writeable


def test_nan_and_infinity_are_weights_like_others(path):
    weights = {"w": np.array([np.nan, np.inf, -0.0])}
    write(path, ModelRecord(CONFIG, weights))
    np.testing.assert_array_equal(read(path).weights["w"].tobytes(), weights["w"].tobytes())


def test_the_bytes_depend_on_the_record_alone(record, path):
    write(path, record)
    first = path.read_bytes()
    write(path, record)
    assert path.read_bytes() == first
    with zipfile.ZipFile(path) as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".pt", ".onnx", ".safetensors", ""])
def test_other_formats_are_refused_by_name(record, tmp_path, suffix):
    for call in (lambda p: write(p, record), read):
        with pytest.raises(UnsupportedError, match=rf"'?{suffix or 'no suffix'}.*ends in \.npz"):
            call(tmp_path / f"model{suffix}")


@pytest.mark.parametrize(
    ("changed", "error", "sentence"),
    [
        ({"metadata": {"scale": np.float64(1)}}, TypeError, r"metadata\['scale'\] is a numpy"),
        ({"config": {"rate": float("inf")}}, ValueError, r"config\['rate'\] is inf"),
        ({"weights": {"w": np.zeros(2, np.int32)}}, TypeError, "w has dtype int32"),
        ({"weights": {"w": np.array([None])}}, TypeError, "w has dtype object"),
        ({"weights": {"../w": np.zeros(2)}}, ValueError, "'../w' cannot name"),
        ({"weights": {"a\0b": np.zeros(2)}}, ValueError, "cannot name"),
        ({"weights": {"": np.zeros(2)}}, ValueError, "cannot name"),
        ({"metadata": {"x": "x" * npz.MAX_MANIFEST}}, ValueError, "are the most"),
    ],
)
def test_a_record_no_file_can_hold_leaves_the_old_file(record, path, changed, error, sentence):
    write(path, record)
    fields = {"config": CONFIG, "weights": {}, "metadata": {}} | changed
    with pytest.raises(error, match=sentence):
        write(path, ModelRecord(**fields))
    assert_equal_records(record, read(path))


# Anything else is refused, and the sentence says what is wrong, and where.

MANIFEST = {"format": "lstm_ref", "version": 1, "config": {}, "metadata": {}, "weights": ["w"]}


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array)
    return buffer.getvalue()


def npy_saying(header: str, data: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


def header(descr: str = "'<f4'", shape: str = "(2,)") -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n"


def zipped(*members: tuple[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def model(manifest: dict | str | None = None, w: bytes | None = None) -> bytes:
    """A file with one weight; `manifest` replaces keys, or the whole text."""
    text = manifest if isinstance(manifest, str) else json.dumps(MANIFEST | (manifest or {}))
    array = npy(np.zeros(2, np.float32)) if w is None else w
    return zipped((npz.MANIFEST, text.encode()), ("w.npy", array))


def savez(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def flagged(content: bytes, flag: int) -> bytes:
    """The first member's flags in the directory and in the file."""
    changed = bytearray(content)
    changed[6] |= flag
    changed[content.index(b"PK\x01\x02") + 8] |= flag
    return bytes(changed)


def claiming(content: bytes, size: int) -> bytes:
    """The first member's size, as the directory claims it."""
    changed = bytearray(content)
    start = content.index(b"PK\x01\x02") + 20
    changed[start : start + 8] = struct.pack("<2L", size, size)
    return bytes(changed)


def with_end64(content: bytes) -> bytes:
    """A 64-bit end record before the plain one, which would have the last word."""
    end = content[-22:]
    directory = content[:-22]
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 2, 2, 2**40, 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(directory), 1)
    return directory + record + locator + end


def counting(content: bytes, count: int, directory: int) -> bytes:
    changed = bytearray(content)
    changed[-14:-6] = struct.pack("<2HL", count, count, directory)
    return bytes(changed)


BROKEN = {
    "empty": (b"", "the file is empty"),
    "text": (b"hello, this is no model\n" * 9, "not a zip file"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(99), "not a zip file"),
    "end record alone": (b"PK\x05\x06" + bytes(18), "no model.json in it"),
    "cut": (model()[:-30], "cut off"),
    "short": (b"PK\x03\x04", "cut off"),
    "appended": (model() + b"\n", "something was appended"),
    "comment": (model()[:-2] + b"\x02\x00hi", "something was appended"),
    "end64": (with_end64(model()), "no model's directory"),
    "many members": (counting(model(), 60_000, 99), "60000 members"),
    "large directory": (counting(model(), 2, 2**30), "1073741824 bytes"),
    "arrays alone": (savez(w=np.zeros(2)), r"np\.savez holds arrays, not a model"),
    "compressed": (
        zipped((npz.MANIFEST, b"{}" * 999), compression=zipfile.ZIP_DEFLATED),
        "'model.json' is compressed",
    ),
    "encrypted": (flagged(model(), 1), "'model.json' is encrypted"),
    "beyond the file": (claiming(model(), 2**31), "more bytes than the"),
    "manifest no JSON": (model("{"), "model.json cannot be read"),
    "manifest no UTF-8": (zipped((npz.MANIFEST, b"\xff")), "model.json cannot be read"),
    "NaN": (model(json.dumps(MANIFEST).replace("1", "NaN")), "holds NaN"),
    "deep": (model("[" * 99_999), "too deep"),
    "key twice": (model('{"format": 1, "format": 2}'), "'format' twice"),
    "another format": (model({"format": "x"}), "does not say that it describes a model"),
    "a list": (model("[]"), "does not say that it describes a model"),
    "version 2": (model({"version": 2}), "version 2, and this lstm_ref reads version 1: a newer"),
    "version true": (model({"version": True}), "version True"),
    "key too many": (model({"lambda": "x"}), "'lambda'"),
    "config": (model({"config": []}), "'config' is no dict"),
    "metadata": (model({"metadata": 3}), "'metadata' is no dict"),
    "weights": (model({"weights": "w"}), "'weights' is no list"),
    "names": (model({"weights": [3]}), "3 cannot name a weight"),
    "path out": (model({"weights": ["../../w"]}), "'../../w' cannot name a weight"),
    "name twice": (model({"weights": ["w", "w"]}), "names one of them twice"),
    "missing": (model({"weights": ["w", "v"]}), "the weight 'v' is missing"),
    "too many": (model({"weights": []}), "'w.npy' is in it, and model.json does not speak of it"),
    "training null": (model({"training": None}), "training: .*NoneType came"),
    "training keys": (model({"training": {"numbers": {}}}), "'arrays'.* are needed"),
    "training numbers": (
        model({"training": {"numbers": [], "arrays": []}}),
        "'numbers' is no dict",
    ),
    "training path": (
        model({"training": {"numbers": {}, "arrays": ["../v"]}}),
        "'../v' cannot name a weight",
    ),
    "training missing": (
        model({"training": {"numbers": {}, "arrays": ["v"]}}),
        "the weight '@training/v' is missing",
    ),
    "no array": (model(w=b"hello"), r"'w\.npy' is no \.npy array"),
    "version 2 array": (model(w=b"\x93NUMPY\x02\x00" + bytes(99)), "no .npy array of version 1.0"),
    "header": (model(w=npy_saying("{'descr': __import__('os')}")), "'w.npy' has a damaged header"),
    "header cut": (model(w=npy_saying(header())[:30]), "'w.npy' has a damaged header"),
    "header short": (model(w=b"\x93NUMPY\x01\x00"), "no .npy array"),
    "objects": (
        model(w=npy_saying(header("'|O'"), b"cos\nsystem\n(S'true'\ntR.")),
        "'w.npy' holds Python objects, which only pickle could read",
    ),
    "integers": (model(w=npy(np.zeros(2, np.int64))), "'<i8': weights are float32 or float64"),
    "float16": (model(w=npy(np.zeros(2, np.float16))), "'<f2'"),
    "fields": (model(w=npy(np.zeros(2, "f4,f4"))), "damaged header"),
    "shape": (
        model(w=npy_saying(header(shape="(3, 4)"), bytes(40))),
        r"'w.npy' says float32 of shape \(3, 4\), 48 bytes, and 40 are there",
    ),
    "shape too short": (model(w=npy_saying(header(shape="(1,)"), bytes(40))), "40 are there"),
    "huge": (model(w=npy_saying(header(shape="(1000000000, 1000000000)"))), "1000000000"),
    "huge beside 0": (model(w=npy_saying(header(shape="(0, 9999999999, 9999999999)"))), "shape"),
    "axes": (model(w=npy_saying(header(shape="(" + "1, " * 33 + ")"), bytes(4))), "the shape"),
    "long number": (model(w=npy_saying(header(shape="(" + "9" * 5000 + ",)"))), "the shape"),
    "no number": (model(w=npy_saying(header(shape="(,)"))), "the shape"),
}


@pytest.mark.parametrize(("content", "sentence"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_refused_in_a_sentence(path, content, sentence):
    path.write_bytes(content)
    with pytest.raises(ModelFormatError, match=sentence) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_the_file_these_are_made_from_is_sound(path):
    path.write_bytes(model())
    assert_equal_records(read(path), ModelRecord({}, {"w": np.zeros(2, np.float32)}))


def test_fortran_order_is_read(path):
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    path.write_bytes(model(w=npy(np.asfortranarray(array))))
    np.testing.assert_array_equal(read(path).weights["w"], array, strict=True)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_twice_is_refused(path):
    path.write_bytes(zipped((npz.MANIFEST, b"{}"), (npz.MANIFEST, b"{}")))
    with pytest.raises(ModelFormatError, match=r"'model\.json' is in it twice"):
        read(path)


def test_a_flipped_bit_in_a_weight_is_noticed(record, path):
    write(path, record)
    content = bytearray(path.read_bytes())
    content[content.index(record.weights["lstm/kernel"].tobytes()) + 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelFormatError, match=r"damaged zip file.*CRC.*lstm/kernel\.npy"):
        read(path)


def test_a_large_hole_is_refused_before_it_is_read(path):
    with path.open("wb") as file:
        file.write(b"PK\x03\x04")
        file.truncate(2**33)  # takes no space on the disk
    with pytest.raises(ModelFormatError, match="8589934592 bytes are more than"):
        read(path)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "fifo"])
def test_what_is_no_file_is_refused(path, make):
    make(path)
    with pytest.raises(ModelFormatError, match="is not a file"):
        read(path)


def test_a_file_that_is_not_there_is_not_a_broken_one(path):
    with pytest.raises(FileNotFoundError):
        read(path)


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """One to four changes: a byte, a bit, a stretch taken out, doubled, zeroed, moved, the end."""
    changed = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        if not changed:
            break
        start, end = sorted(rng.integers(0, len(changed) + 1, size=2))
        end = min(end, start + int(rng.integers(1, 200)))
        at = int(rng.integers(len(changed)))
        match rng.integers(7):
            case 0:
                changed[at] = rng.integers(256)
            case 1:
                changed[at] ^= 1 << rng.integers(8)
            case 2:
                del changed[start:end]
            case 3:
                changed[at:at] = changed[start:end]
            case 4:
                changed[start:end] = bytes(end - start)
            case 5:
                changed[start:end] = b"\xff" * (end - start)
            case 6:
                del changed[at:]
    return bytes(changed)


def test_any_bytes_are_a_record_or_a_format_error(record, path, rng):
    write(path, record)
    sound = path.read_bytes()
    refused = 0
    for _ in range(4000):
        content = mutated(sound, rng)
        path.write_bytes(content)
        try:
            read(path)
        except ModelFormatError:
            refused += 1
    assert refused > 3500


def test_any_member_is_a_record_or_a_format_error(record, path, rng):
    """Mutations inside the members, which a checksum would otherwise catch first."""
    write(path, record)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    refused = 0
    for n in range(4000):
        name = list(members)[n % len(members)]
        path.write_bytes(zipped(*(members | {name: mutated(members[name], rng)}).items()))
        try:
            read(path)
        except ModelFormatError:
            refused += 1
    assert refused > 2000
