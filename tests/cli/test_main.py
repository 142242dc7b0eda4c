"""The command itself: exit codes, errors in one sentence, pipes."""

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

import lstm_ref
from lstm_ref import cli
from lstm_ref.cli import output

COMMAND = [sys.executable, "-m", "lstm_ref.cli"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(lstm_ref.__file__).parent.parent)}


def test_version_and_help(lstm_ref_command):
    result = lstm_ref_command("--version")
    assert result == (0, f"lstm-ref {lstm_ref.__version__}\n", "")
    result = lstm_ref_command("--help")
    assert result.code == 0
    for verb in ("demo", "train", "predict", "inspect", "exit codes: 0 fine, 1 checked"):
        assert verb in result.out


@pytest.mark.parametrize("verb", ["demo", "train", "predict", "inspect"])
def test_every_verb_has_help_and_json(lstm_ref_command, verb):
    result = lstm_ref_command(verb, "--help")
    assert result.code == 0
    assert "--json" in result.out
    assert "exit codes" in result.out


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ([], "VERB"),
        (["explain"], "invalid choice: 'explain'"),
        (["train", "table.csv"], "--target"),
        (["train", "table.csv", "--target", "a", "--window", "0"], "'0' is not a whole number"),
        (["train", "table.csv", "--target", "a", "--units", "many"], "'many' is not a whole"),
        (["train", "table.csv", "--target", "a", "--holdout", "1"], "'1' is not a number from 0"),
        (["train", "table.csv", "--target", "a", "--lr", "-1"], "'-1' is not a number above 0"),
        (["train", "table.csv", "--target", "a", "--lr", "nan"], "'nan' is not a number above 0"),
        (["train", "table.csv", "--target", "a", "--activation", "bent"], "invalid choice: 'bent'"),
        (["demo", "--epochs", "1.5"], "'1.5' is not a whole number"),
    ],
)
def test_arguments_that_cannot_be_give_2(lstm_ref_command, argv, sentence):
    result = lstm_ref_command(*argv)
    assert result.code == 2
    assert result.out == ""
    assert sentence in result.err


BAD_INPUTS = [
    (["inspect", "nowhere.npz"], "lstm-ref inspect: nowhere.npz: No such file or directory"),
    (["inspect", "model.keras"], "lstm-ref inspect: 'model.keras' has the suffix '.keras'"),
    (["inspect", "broken.npz"], "lstm-ref inspect: broken.npz: the file is not a zip file"),
    (["predict", "broken.npz", "table.csv"], "lstm-ref predict: broken.npz: the file is not"),
    (["train", "nowhere.csv", "--target", "a"], "lstm-ref train: nowhere.csv: No such file"),
    (["train", "table.csv", "--target", "hot"], "no column 'hot'; the table has 'when', 'warmth'"),
    (["train", "table.csv", "--target", "note"], "line 2, column 'note': 'x' is not a number"),
    (["train", "table.csv", "--target", "warmth", "--window", "200"], "use a shorter window"),
    (
        ["train", "table.csv", "--target", "warmth", "--out", "m.onnx"],
        "'m.onnx' has the suffix '.onnx': a model is saved as a file that ends in .npz",
    ),
    (
        ["train", "table.csv", "--target", "warmth", "--out", "no/m.npz"],
        "lstm-ref train: no: there is no such folder",
    ),
    (["train", "table.csv", "--target", "warmth", "warmth"], "the column 'warmth' is named twice"),
    (["train", "--target", "warmth"], "lstm-ref train: no table was named"),
    (["train", "--target", "warmth", "nowhere.csv"], "lstm-ref train: nowhere.csv: No such file"),
    (["predict", "m.npz", "table.csv", "--out", "table.csv"], "is a file that is read"),
    (["predict", "m.npz", "table.csv", "--out", "./m.npz"], "is a file that is read"),
    (["demo", "--out", "table.csv"], "lstm-ref demo: table.csv: File exists"),
]


@pytest.mark.parametrize(
    ("argv", "sentence"), BAD_INPUTS, ids=lambda v: v[:20] if isinstance(v, str) else " ".join(v)
)
def test_bad_input_gives_2_and_one_sentence(lstm_ref_command, table, argv, sentence):
    Path("broken.npz").write_bytes(b"not a model")
    result = lstm_ref_command(*argv)
    assert result.code == 2
    assert result.out == ""
    assert sentence in result.err
    assert result.err.count("\n") == 1
    as_json = lstm_ref_command(*argv, "--json")
    assert as_json.code == 2
    assert as_json.err == result.err
    assert as_json.err.endswith(as_json.document["error"] + "\n")
    assert not list(Path().glob("*.onnx"))


def test_a_mistake_of_ours_is_not_taken_for_bad_input(lstm_ref_command, monkeypatch):
    def mistake(args):
        raise TypeError("a bug")

    monkeypatch.setattr(cli.inspect, "run", mistake)
    with pytest.raises(TypeError, match="a bug"):
        lstm_ref_command("inspect", "model.npz")


def test_stopped_from_the_keyboard(lstm_ref_command, monkeypatch):
    def stopped(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.inspect, "run", stopped)
    assert lstm_ref_command("inspect", "model.npz") == (130, "", "interrupted\n")


def test_as_a_process(table):
    train = [*COMMAND, "train", table, "--target", "warmth", "--epochs", "1", "--out", "m.npz"]
    options = {"cwd": table.parent, "env": ENVIRONMENT, "capture_output": True, "text": True}
    trained = subprocess.run([*train, "--json"], check=True, **options)
    assert json.loads(trained.stdout)["targets"] == ["warmth"]
    assert "epochs" not in trained.stderr  # no bar in a pipe
    failed = subprocess.run([*COMMAND, "inspect", "none.npz"], check=False, **options)
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr == "lstm-ref inspect: none.npz: No such file or directory\n"


def test_whoever_reads_may_stop_reading():
    """`lstm-ref demo | head` ends without a word."""
    program = (
        "import sys\n"
        "from lstm_ref import cli\n"
        "cli.inspect.run = lambda args: [print('x' * 9999, flush=True) for _ in range(99)] and 0\n"
        "sys.exit(cli.main(['inspect', 'model.npz']))"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT
    ) as child:
        child.stdout.read(10)
        child.stdout.close()
        assert child.stderr.read() == b""
    assert child.returncode == 0


def test_a_bar_on_a_terminal():
    """Standard error is a terminal here, standard output a pipe."""
    program = (
        "from lstm_ref.cli.output import epoch_bar\n"
        "print(list(epoch_bar(3, 'learning')(iter([0.5, 0.25, 0.125]))))"
    )
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))  # rows, columns
    every_step = ENVIRONMENT | {"TQDM_MININTERVAL": "0"}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=theirs, env=every_step
    ) as child:
        out, _ = child.communicate()
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65536):
            shown += part
    except OSError:  # how Linux says that the other side is closed
        pass
    os.close(ours)
    assert out == b"[0.5, 0.25, 0.125]\n"
    assert "learning" in (text := shown.decode())
    assert "3/3 epochs" in text
    assert "loss 0.1250" in text


def test_text_a_terminal_cannot_show_does_not_stop_it(tmp_path):
    bad = subprocess.run(
        [*COMMAND, "demo", "--help"],
        env=ENVIRONMENT | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        capture_output=True,
        check=False,
    )
    assert bad.returncode == 0


def test_numbers_in_csv_files():
    columns = {"row": [1, 2], "a": [0.1 + 0.2, float("nan")]}
    assert output.csv_bytes(columns) == b"row,a\n1,0.3\n2,\n"
