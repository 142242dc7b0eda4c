"""train, predict and inspect, one after the other, as a user does."""

import csv
from pathlib import Path

import numpy as np
import pytest

import lstm_ref
from lstm_ref.conventions import GATES
from lstm_ref.forecast import Recipe, forecast
from lstm_ref.layers import LSTM
from lstm_ref.sequences import read_table

TRAIN = ["--window", "8", "--units", "6", "--epochs", "4", "--batch-size", "4"]


def rows_of(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_a_model_that_carries_all_predict_needs(lstm_ref_command, table):
    result = lstm_ref_command(
        "train", table, "--target", "warmth", "--features", "warmth", "flow", "--horizon", "2",
        "--period", "25", *TRAIN, "--out", "m.npz",
    )  # fmt: skip
    assert result.code == 0, result.err
    assert "120 rows, 7 of them with a missing value" in result.out
    assert "predicts warmth, 2 rows later, at every row" in result.out
    assert "x (22, 8, 2) → y (22, 8, 1)" in result.out  # of 96 rows, a window every 4
    assert "this LSTM" in result.out
    assert "the last value" in result.out
    assert "the same time a period before" in result.out

    result = lstm_ref_command("predict", "m.npz", table, "--out", "p.csv")
    assert result.code == 0, result.err
    assert "120 rows of row, warmth_in_2" in result.out
    header, *rows = rows_of(Path("p.csv"))
    assert header == ["row", "warmth_in_2"]
    assert [row[0] for row in rows] == [str(n) for n in range(1, 121)]

    model = lstm_ref.load_model("m.npz")
    recipe = Recipe.from_metadata(model.metadata)
    expected = forecast(model, recipe, read_table(table, ["warmth", "flow"]))
    np.testing.assert_allclose([float(row[1]) for row in rows], expected[:, 0], rtol=1e-6)


@pytest.mark.parametrize("option", ["--target", "--features"])
def test_the_table_may_stand_after_the_columns(lstm_ref_command, table, option):
    columns = {"--target": ["warmth"], "--features": ["warmth", "flow"]}
    first = next(name for name in columns if name != option)
    argv = ["train", first, *columns[first], option, *columns[option], table.name]
    assert lstm_ref_command(*argv, *TRAIN).code == 0
    assert lstm_ref_command("predict", "model.npz", table.name).code == 0


def test_the_same_seed_writes_the_same_file(lstm_ref_command, table):
    files = []
    for seed in (3, 3, 4):
        argv = ["train", table, "--target", "warmth", *TRAIN, "--seed", seed, "--out", "m.npz"]
        assert lstm_ref_command(*argv).code == 0
        files.append(Path("m.npz").read_bytes())
    assert files[0] == files[1] != files[2]


def test_without_out_the_rows_go_to_standard_output(lstm_ref_command, table):
    lstm_ref_command("train", table, "--target", "warmth", *TRAIN)
    assert Path("model.npz").exists()
    text = lstm_ref_command("predict", "model.npz", table)
    assert text.out.startswith("row,warmth_in_1\n1,")
    assert text.out.count("\n") == 121
    document = lstm_ref_command("predict", "model.npz", table, "--json").document
    assert document["forecasts"]["row"] == list(range(1, 121))
    shown = [float(line.partition(",")[2]) for line in text.out.splitlines()[1:]]
    np.testing.assert_allclose(document["forecasts"]["warmth_in_1"], shown, rtol=1e-6)
    document = lstm_ref_command("predict", "model.npz", table, "--out", "p.csv", "--json").document
    assert (document["file"], document["forecasts"]) == ("p.csv", None)


def test_several_targets_as_json(lstm_ref_command, table):
    argv = ["train", table, "--target", "warmth", "--target", "flow", *TRAIN, "--out", "m.npz"]
    document = lstm_ref_command(*argv, "--json").document
    assert document["targets"] == document["features"] == ["warmth", "flow"]
    assert document["x_shape"] == document["y_shape"] == [22, 8, 2]
    assert len(document["losses"]) == 4
    assert document["losses"][-1] < document["losses"][0]
    assert [score["target"] for score in document["scores"]] == ["warmth", "flow"]
    for score in document["scores"]:
        assert set(score["rmse"]) == {"model", "persistence"}
    # The flow is missing in some of the 24 rows that are held out, or was before them.
    assert [score["rows"] for score in document["scores"]] == [24, 22]


def test_nothing_held_out_says_so(lstm_ref_command, table):
    argv = ["train", table, "--target", "warmth", *TRAIN, "--holdout", "0", "--out", "m.npz"]
    assert "nothing says how good it is" in lstm_ref_command(*argv).out
    assert lstm_ref_command(*argv, "--json").document["scores"] == []


def test_a_model_that_is_beaten_says_so(lstm_ref_command, tmp_path):
    """A steady climb: the last value is close, and what is held out was never seen."""
    rows = "\n".join(str(n) for n in range(200))
    (tmp_path / "climb.csv").write_text(f"height\n{rows}\n", encoding="utf-8")
    result = lstm_ref_command("train", "climb.csv", "--target", "height", *TRAIN)
    assert result.code == 0
    assert "It does not beat them all for height" in result.out


def test_a_training_that_diverges_gives_2(lstm_ref_command, table):
    argv = ["train", table, "--target", "warmth", *TRAIN, "--optimizer", "sgd", "--lr", "1e30"]
    with np.errstate(all="ignore"):
        result = lstm_ref_command(*argv)
    assert result.code == 2
    assert "training diverged" in result.err
    assert not Path("model.npz").exists()


def test_columns_that_are_missing_are_named(lstm_ref_command, table, tmp_path):
    lstm_ref_command("train", table, "--target", "warmth", "flow", *TRAIN)
    (tmp_path / "other.csv").write_text("warmth,height\n1,2\n", encoding="utf-8")
    result = lstm_ref_command("predict", "model.npz", "other.csv")
    assert result.code == 2
    assert "other.csv: there is no column 'flow'; the table has 'warmth', 'height'" in result.err


def test_targets_that_are_no_features_are_not_needed_to_predict(lstm_ref_command, table, tmp_path):
    lstm_ref_command("train", table, "--target", "flow", "--features", "warmth", *TRAIN)
    (tmp_path / "other.csv").write_text("warmth\n20\n21\n", encoding="utf-8")
    result = lstm_ref_command("predict", "model.npz", "other.csv")
    assert result.out.splitlines()[0] == "row,flow_in_1"
    assert len(result.out.splitlines()) == 3


def test_inspect_shows_what_is_inside(lstm_ref_command, table):
    lstm_ref_command(
        "train", table, "--target", "warmth", *TRAIN, "--activation", "relu", "--lr", "0.01"
    )
    result = lstm_ref_command("inspect", "model.npz")
    assert result.code == 0, result.err
    for piece in (
        "lstm (LSTM) → (None, 8, 6)",
        "activation relu, gates sigmoid, return_sequences",
        "recurrent_kernel  6×24  float32",
        "mask value -10000",
        "gate order in each LSTM's weights: i, f, g, o",
        "Adam(learning_rate=0.01",
        "loss MeanSquaredError",
        "forecasts warmth, 1 row ahead,",
        "from warmth, in windows of 8 rows",
    ):
        assert piece in result.out, (piece, result.out)
    document = lstm_ref_command("inspect", "model.npz", "--json").document
    assert document["format"] == ".npz"
    assert document["bytes"] == Path("model.npz").stat().st_size
    assert document["input_shape"] == [None, 8, 1]
    assert document["output_shape"] == [None, 8, 1]
    assert document["gate_order"] == list(GATES)
    assert document["parameters"] == 4 * 6 * (1 + 6 + 1) + 6 + 1
    assert [layer["class"] for layer in document["layers"]] == ["Masking", "LSTM", "Dense"]
    weight = document["layers"][1]["weights"]["kernel"]
    assert (weight["shape"], weight["dtype"], weight["not_finite"]) == ([1, 24], "float32", 0)
    kernel = lstm_ref.load_model("model.npz").layers[1].get_weights()[0]
    assert (weight["smallest"], weight["largest"]) == (kernel.min(), kernel.max())
    assert document["compile"]["optimizer"]["class_name"] == "Adam"
    assert document["metadata"]["forecast"]["targets"] == ["warmth"]


@pytest.fixture
def plain_model(tmp_path) -> lstm_ref.Sequential:
    layers = [LSTM(2, return_sequences=True, go_backwards=True, input_shape=(None, 3))]
    model = lstm_ref.Sequential(layers)
    weights = model.get_weights()
    weights[2][3] = np.nan
    model.set_weights(weights)
    model.metadata["note"] = "made by hand"
    model.save(tmp_path / "plain.npz")
    return model


def test_inspect_of_a_model_that_no_command_made(lstm_ref_command, plain_model):
    result = lstm_ref_command("inspect", "plain.npz")
    assert result.code == 0, result.err
    assert "go_backwards" in result.out
    assert "1 NaN OR INFINITE" in result.out
    assert '"note": "made by hand"' in result.out
    document = lstm_ref_command("inspect", "plain.npz", "--json").document
    assert document["layers"][0]["weights"]["bias"]["not_finite"] == 1
    assert document["compile"] is None


def test_predict_with_a_model_that_no_command_made(lstm_ref_command, plain_model, table):
    result = lstm_ref_command("predict", "plain.npz", table)
    assert result.code == 2
    assert "`lstm-ref train`" in result.err


def test_inspect_looks_into_layers_made_of_layers(lstm_ref_command):
    layers = lstm_ref.layers
    model = lstm_ref.Sequential(
        [
            layers.Input((7,), dtype="int32"),
            layers.Embedding(9, 3, mask_zero=True),
            layers.Bidirectional(layers.LSTM(4, dropout=0.2, return_sequences=True), "sum"),
            layers.RNN([layers.LSTMCell(3, "relu"), layers.LSTMCell(2)], return_sequences=True),
            layers.TimeDistributed(layers.Dense(1, "tanh")),
        ]
    )
    model.save("layers.npz")
    result = lstm_ref_command("inspect", "layers.npz")
    assert result.code == 0, result.err
    for piece in (
        "input  (None, 7)   (batch, time), None is any number",
        "mask_zero",
        "activation tanh, gates sigmoid, dropout 0.2, return_sequences, zero_output_for_mask",
        "merge mode sum",
        "backward_lstm/recurrent_kernel ",
        "activation relu, gates sigmoid, activation tanh, gates sigmoid, return_sequences",
        "lstm_cell_1/kernel ",
        "time_distributed (TimeDistributed) → (None, 7, 1)\n  activation tanh",
        "gate order in each LSTM's weights: i, f, g, o",
    ):
        assert piece in result.out, (piece, result.out)
