"""The benchmark runs, compares before it times, and says what is missing. No figure is asserted."""

import json
import subprocess
import sys

import pytest

from tests.peers import ROOT, require

FOLDER = ROOT / "benchmarks"


def run(
    *arguments: str, before: str = "", name: str = "forward", warn: str = "error"
) -> subprocess.CompletedProcess:
    """The benchmark of that name in a process of its own, after the lines `before`."""
    script = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(FOLDER)!r}]\n"
        f"import {name}\n{before}\nsys.exit({name}.main({list(arguments)!r}))"
    )
    return subprocess.run(
        [sys.executable, "-W", warn, "-c", script], capture_output=True, text=True, check=False
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
    absent = "import side_by_side; side_by_side.installed = lambda package: None"
    result = run(*SMALL, before=absent)
    assert result.returncode == 0, result.stderr
    assert "onnxruntime is not installed: no figures for it" in result.stdout
    assert "torch is not installed: no figures for it" in result.stdout
    (row,) = [line for line in result.stdout.splitlines() if line.startswith("2×3×4, H=5")]
    assert row.endswith(" -")


# Training.

# Every kind of case, each as small as it can be, and timed for a moment only.
TINY = """
from dataclasses import replace
training.SAMPLE = 0.001
training.CASES = [replace(c, N=5, T=3, D=2, H=4, batch_size=3) for c in training.CASES]
"""
NO_PEERS = "import side_by_side; side_by_side.installed = lambda package: None"


def test_every_kind_of_training_is_timed_beside_the_peers():
    """Keras and PyTorch warn about themselves when they are imported."""
    result = run("--threads", "1", "--repeats", "1", "--json", before=TINY, name="training",
                 warn="default")  # fmt: skip
    assert result.returncode == 0, result.stderr
    (report,) = json.loads(result.stdout)
    assert report["threads"] == 1
    names = [row["case"]["name"] for row in report["cases"]]
    assert {"relu", "rmsprop", "masked", "two layers", "bidirectional", "large"} <= set(names)
    versions = report["versions"]
    peers = {n for n, needs in (("keras", "tensorflow"), ("torch", "torch")) if versions[needs]}
    for row in report["cases"]:
        assert set(row["seconds"]) == {"lstm_ref"} | peers
        for name, ratio in row["ratios"].items():
            assert ratio == row["seconds"]["lstm_ref"] / row["seconds"][name]
        assert row["ratios"].keys() == peers
        assert len(row["digest"]) == 64


def test_a_trainer_that_computes_something_else_is_not_timed():
    require("torch")
    wrong = TINY + (
        "packages, make = training.CONTENDERS['torch']\n"
        "training.CONTENDERS['torch'] = packages, lambda p, o: make(replace(p, y=p.y + 1e-3), o)\n"
        "del training.CONTENDERS['keras']"
    )
    result = run("--threads", "1", "--repeats", "1", "--case", "tanh", before=wrong,
                 name="training", warn="default")  # fmt: skip
    assert result.returncode == 1
    assert "torch and lstm_ref differ at tanh: losses" in result.stderr


def test_weights_are_compared_and_not_only_losses():
    require("torch")
    wrong = TINY + (
        "packages, make = training.CONTENDERS['torch']\n"
        "def spoilt(p, o):\n"
        "    made = make(p, o)\n"
        "    return replace(made, weights=lambda: [w + 1e-4 for w in made.weights()])\n"
        "training.CONTENDERS['torch'] = packages, spoilt\n"
        "del training.CONTENDERS['keras']"
    )
    result = run("--threads", "1", "--repeats", "1", "--case", "masked", before=wrong,
                 name="training", warn="default")  # fmt: skip
    assert result.returncode == 1
    assert "torch and lstm_ref differ at masked: weights" in result.stderr


def test_training_without_peers_says_so():
    result = run("--threads", "1", "--repeats", "1", "--case", "relu", "4,3,2,5",
                 before=f"{TINY}{NO_PEERS}", name="training")  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "keras is not installed: no figures for it" in result.stdout
    assert "torch is not installed: no figures for it" in result.stdout
    assert "4×3×2, H=5" in result.stdout
    unknown = run("--threads", "1", "--case", "relou", before=NO_PEERS, name="training")
    assert unknown.returncode == 1


@pytest.mark.parametrize("same", [True, False])
def test_results_of_two_numbers_of_threads_are_compared(same):
    """Each number has a process of its own, which is told apart here by what it is asked for."""
    other = "" if same else "    if threads == 2: made['cases'][0]['digest'] = 'another'\n"
    before = TINY + NO_PEERS + (
        "\ndef in_this_process(arguments, threads):\n"
        "    made = training.report(training.chosen(['tanh']), 1, threads)\n"
        f"{other}"
        "    return made\n"
        "training.report_of_a_process = in_this_process"
    )  # fmt: skip
    result = run("--threads", "1", "2", "--repeats", "1", "--case", "tanh", before=before,
                 name="training")  # fmt: skip
    assert result.returncode == (0 if same else 1), result.stderr
    said = "the same, to the last bit." if same else "NOT THE SAME."
    assert f"Our losses and weights with [1, 2] threads: {said}" in result.stdout
    assert "1 thread each" in result.stdout
    assert "2 threads each" in result.stdout


@pytest.mark.slow
def test_each_number_of_threads_has_a_process_of_its_own():
    result = subprocess.run(
        [sys.executable, FOLDER / "training.py", "--repeats", "1", "--case", "40,30,3,48"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "Our losses and weights with [1, 2] threads: the same, to the last bit." in result.stdout
