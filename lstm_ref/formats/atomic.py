"""A file that is whole or absent, whatever happens while it is written."""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_write(path: str | Path) -> Iterator[BinaryIO]:
    """A binary file to write to, which becomes ``path`` when the block ends without an error.

    The bytes go to a temporary file in the same folder, are brought to the disk, and the file is
    renamed. Killed at any moment, this leaves the old file or the new one, and at worst a file
    ``.lstm_ref-….tmp`` beside it. An error in the block leaves the old file and nothing else.
    Links are followed, and an existing file keeps its permissions.

    Raises:
        OSError: the folder is not there or cannot be written to; ``path`` is there and is no
            regular file.
    """
    target = Path(path).resolve()
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(Path(path).parent))
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
    if mode is not None and not target.is_file():
        raise OSError(f"{path} is there already and is not a file that could be replaced")
    temporary = target.with_name(f".lstm_ref-{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            temporary.chmod(mode)
        temporary.replace(target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Bring the rename to the disk.

    Where the system cannot (Windows, some network disks), the file is whole all the same; only a
    power cut can still bring the old one back.
    """
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
