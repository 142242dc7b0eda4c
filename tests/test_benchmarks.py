"""The benchmark runs, compares before it times, and says what is missing. No figure is asserted."""

import json
import subprocess
import sys

import pytest

from tests.peers import ROOT, require

FORWARD = ROOT / "benchmarks" / "forward.py"


def run(*arguments: str, before: str = "") -> subprocess.CompletedProcess:
    """The benchmark in a process of its own, after the line `before`."""
    script = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(FORWARD.parent)!r}]\n"
        f"import forward\n{before}\nsys.exit(forward.main({list(arguments)!r}))"
    )
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False
    )


SMALL = ("--repeats", "1", "--case", "1,1,1,8", "2,3,4,5")


def test_every_contender_that_is_installed_is_timed_beside_lstm_ref():
    require("onnx")
    require("onnxruntime")
    result = run(*SMALL, "--json")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert [row["case"] for row in report["cases"]] == [
        {"B": 1, "T": 1, "D": 1, "H": 8},
        {"B": 2, "T": 3, "D": 4, "H": 5},
    ]
    installed = {"lstm_ref", *(n for n in ("onnxruntime", "torch") if report["versions"][n])}
    for row in report["cases"]:
        assert set(row["seconds"]) == installed
        assert all(value > 0 for value in row["seconds"].values())
        ours = row["seconds"].pop("lstm_ref")
        assert row["ratio"] == ours / min(row["seconds"].values())


@pytest.mark.parametrize("peer", ["onnxruntime", "torch"])
def test_a_contender_that_computes_something_else_is_not_timed(peer):
    require("onnx")
    require(peer)
    wrong = (
        f"packages, make = forward.CONTENDERS[{peer!r}]\n"
        f"forward.CONTENDERS[{peer!r}] = packages, lambda p: lambda: make(p)() + 1e-4"
    )
    result = run(*SMALL, before=wrong)
    assert result.returncode == 1
    assert f"{peer} and lstm_ref differ at 1×1×1, H=8" in result.stderr


def test_an_absent_peer_is_said_to_be_absent():
    absent = "forward.installed = lambda package: None"
    result = run(*SMALL, before=absent)
    assert result.returncode == 0, result.stderr
    assert "onnxruntime is not installed: no figures for it" in result.stdout
    assert "torch is not installed: no figures for it" in result.stdout
    (row,) = [line for line in result.stdout.splitlines() if line.startswith("2×3×4, H=5")]
    assert row.endswith(" -")
