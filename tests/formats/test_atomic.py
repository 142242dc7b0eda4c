"""A file that is whole or absent: with errors, without space, killed at any moment."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lstm_ref.formats import atomic_write


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_writes_a_new_file_and_replaces_an_old_one(tmp_path):
    for content in (b"first", b"second"):
        with atomic_write(tmp_path / "file") as file:
            file.write(content)
        assert contents(tmp_path) == {"file": content}


def test_until_the_end_the_old_file_is_there(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    with atomic_write(tmp_path / "file") as file:
        file.write(b"new")
        file.flush()
        assert (tmp_path / "file").read_bytes() == b"old"


@pytest.mark.parametrize("error", [ValueError("in the block"), KeyboardInterrupt()])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, error):
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(type(error)), atomic_write(tmp_path / "file"):
        raise error
    assert contents(tmp_path) == {"file": b"old"}


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_disk_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, failing):
    def fail(*_):
        raise OSError(28, "No space left on device")

    (tmp_path / "file").write_bytes(b"old")
    monkeypatch.setattr(os, failing, fail)
    if failing == "replace":
        monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space left"), atomic_write(tmp_path / "file") as file:
        file.write(b"new")
    assert contents(tmp_path) == {"file": b"old"}


def test_permissions_stay_and_new_files_follow_the_umask(tmp_path):
    path = tmp_path / "file"
    before = os.umask(0o027)
    try:
        with atomic_write(path):
            pass
        assert path.stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(before)
    path.chmod(0o604)
    with atomic_write(path):
        pass
    assert path.stat().st_mode & 0o777 == 0o604


def test_a_link_is_followed(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with atomic_write(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "fifo"])
def test_what_is_no_file_is_left_alone(tmp_path, make):
    make(tmp_path / "thing")
    with pytest.raises(OSError, match="is not a file"), atomic_write(tmp_path / "thing"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thing"]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"), atomic_write(tmp_path / "nowhere/f"):
        pass


# A process that kills itself at the n-th act on the file system, n = 1, 2, 3, …
KILLED = """
import os, signal, sys
from lstm_ref.formats import ModelRecord, write
import numpy as np

left = int(sys.argv[2])
record = ModelRecord({"class_name": "Sequential"}, {"a/kernel": np.ones((300, 300), "float32")})

def watch(event, args):
    global left
    if event in ("open", "os.rename", "os.chmod", "os.remove") or event == "fsync":
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

fsync = os.fsync
def counted(descriptor):
    sys.audit("fsync")
    fsync(descriptor)
os.fsync = counted

sys.addaudithook(watch)
write(sys.argv[1], record)
left = 0
"""


def test_killed_at_every_act_the_old_or_the_new_file_is_there(tmp_path):
    path = tmp_path / "model.npz"
    outcomes = []
    for act in range(1, 20):
        path.write_bytes(b"old")
        command = [sys.executable, "-c", KILLED, str(path), str(act)]
        child = subprocess.run(command, capture_output=True, text=True, check=False)
        assert child.returncode in (0, -signal.SIGKILL), child.stderr
        new = path.read_bytes()
        assert new == b"old" or (new.startswith(b"PK\x03\x04") and len(new) > 300 * 300 * 4)
        outcomes.append("old" if new == b"old" else "new")
        if child.returncode == 0:
            break
    # Killed before: opening, fsync, chmod, rename; after it: opening and fsync of the folder.
    assert outcomes == ["old"] * 4 + ["new"] * 3
