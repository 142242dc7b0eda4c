"""Models in files: one module a format. All give and take a `ModelRecord`, no model class.

record       what a file holds: a configuration, named weights, metadata
npz          NumPy's archive: configuration and weights in one file, no pickle
strict_json  JSON that means one thing: no NaN, no name twice
atomic       a file that is whole or absent, whatever happens while it is written
"""

import errno
from os import PathLike
from pathlib import Path

from lstm_ref.errors import UnsupportedError
from lstm_ref.formats import npz
from lstm_ref.formats.atomic import atomic_write
from lstm_ref.formats.record import ModelRecord, TrainingRecord

__all__ = ["ModelRecord", "TrainingRecord", "atomic_write", "check_path", "read", "write"]

FORMATS = {".npz": npz}
"""The suffixes of the files that can be written and read, and who does it."""


def write(path: str | PathLike[str], record: ModelRecord) -> None:
    """Write a model file, in the format its suffix names. The file is whole or absent.

    Raises:
        UnsupportedError: a suffix of another format, naming those that are supported.
        TypeError, ValueError: a configuration or metadata that JSON cannot hold, naming the place.
        OSError: the file cannot be written.
    """
    path = Path(path)
    _format_of(path, "saved as").write(path, record)


def read(path: str | PathLike[str]) -> ModelRecord:
    """Read a model file, in the format its suffix names. Nothing in it is executed.

    Raises:
        UnsupportedError: a suffix of another format, naming those that are supported.
        ModelFormatError: a broken, truncated or hostile file, saying what is wrong, and where.
        FileNotFoundError, PermissionError: no file there, or none that may be read.
    """
    path = Path(path)
    return _format_of(path, "read from").read(path)


def check_path(path: str | PathLike[str]) -> None:
    """Raise what `write` would raise for this path, before there is a model to write.

    Raises:
        UnsupportedError: a suffix of another format.
        OSError: the folder is not there, or ``path`` is one itself.
    """
    path = Path(path)
    _format_of(path, "saved as")
    if not path.resolve().parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(path.parent))
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "this is a folder", str(path))


def _format_of(path: Path, verb: str) -> npz.Format:
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        suffix = f"the suffix {path.suffix!r}" if path.suffix else "no suffix"
        raise UnsupportedError(
            f"{str(path)!r} has {suffix}: a model is {verb} a file that ends in "
            f"{' or '.join(FORMATS)}"
        ) from None
