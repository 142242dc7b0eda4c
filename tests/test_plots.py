"""Pictures: what is drawn is what was given."""

import sys

import numpy as np
import pytest

import lstm_ref as lr
from lstm_ref import plots
from lstm_ref.errors import MissingExtraError, ShapeError
from lstm_ref.layers import LSTM, Bidirectional, Dense, Masking
from lstm_ref.verify import gradient_flow


def test_a_panel_for_each_column_with_both_lines(rng, tmp_path):
    measured, predicted = rng.normal(size=(2, 30, 3))
    predicted[4] = np.nan
    figure = plots.forecast(
        measured, predicted, ["a (°C)", "b", "c"], title="All of it", ticks={0: "Mon", 24: "Tue"}
    )
    assert [panel.get_ylabel() for panel in figure.axes] == ["a (°C)", "b", "c"]
    for k, panel in enumerate(figure.axes):
        drawn = [line.get_ydata() for line in panel.get_lines()]
        np.testing.assert_array_equal(drawn, [measured[:, k], predicted[:, k]])
    assert figure.axes[0].get_title(loc="left") == "All of it"
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == [
        "measured",
        "predicted",
    ]
    last = figure.axes[-1]
    assert [label.get_text() for label in last.get_xticklabels()] == ["Mon", "Tue"]
    figure.savefig(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_a_single_row_can_be_drawn(tmp_path):
    plots.forecast(np.ones((1, 1)), np.ones((1, 1)), ["a"]).savefig(tmp_path / "picture.png")


@pytest.mark.parametrize(
    ("measured", "predicted", "names"),
    [((5, 2), (5, 1), ["a", "b"]), ((5, 2), (5, 2), ["a"]), ((5,), (5,), ["a"])],
)
def test_arrays_that_do_not_fit_are_told(measured, predicted, names):
    with pytest.raises(ShapeError, match=r"for a single column use values\[:, None\]"):
        plots.forecast(np.zeros(measured), np.zeros(predicted), names)


def drawn(panel):
    """What the lines of a panel show, by name."""
    return {line.get_label(): line.get_xydata() for line in panel.get_lines()}


def test_the_history_of_a_training():
    figure = plots.history({"loss": [1.0, 0.5, 0.01], "val_loss": [1.0, 0.7, 0.4]})
    (panel,) = figure.axes
    lines = drawn(panel)
    assert list(lines) == ["loss", "val_loss"]
    np.testing.assert_array_equal(lines["loss"], [[1, 1], [2, 0.5], [3, 0.01]])
    np.testing.assert_array_equal(lines["val_loss"], [[1, 1], [2, 0.7], [3, 0.4]])
    assert panel.get_yscale() == "log"  # over more than a factor of 20
    assert plots.history({"loss": [1.0, 0.9]}).axes[0].get_yscale() == "linear"


def test_what_is_measured_otherwise_has_a_panel_of_its_own():
    figure = plots.history(
        {
            "accuracy": [0.2, 0.6],
            "loss": [1.0, np.nan],
            "val_accuracy": [0.1, 0.5],
            "val_loss": [2.0, np.inf],
            "learning_rate": [0.1, 0.001],
        }
    )
    named = [list(drawn(panel)) for panel in figure.axes]
    assert named == [["accuracy", "val_accuracy"], ["loss", "val_loss"], ["learning_rate"]]
    assert [panel.get_yscale() for panel in figure.axes] == ["linear", "linear", "log"]
    assert [panel.get_xlabel() for panel in figure.axes] == ["", "", "epoch"]


def test_the_object_that_fit_returns(rng):
    """With its own epochs, and with validation after every second one."""
    model = lr.Sequential([LSTM(2), Dense(1)])
    model.compile("sgd", "mse")
    x, y = rng.normal(size=(4, 3, 1)), rng.normal(size=(4, 1))
    options = {"verbose": 0, "validation_data": (x, y), "validation_freq": 2}
    trained = model.fit(x, y, epochs=9, initial_epoch=3, **options)
    (panel,) = plots.history(trained).axes
    lines = drawn(panel)
    np.testing.assert_array_equal(lines["loss"][:, 0], [4, 5, 6, 7, 8, 9])
    np.testing.assert_array_equal(lines["loss"][:, 1], trained.history["loss"])
    np.testing.assert_array_equal(lines["val_loss"][:, 1], trained.history["val_loss"])
    assert len(lines["val_loss"]) == 3


def test_values_of_every_second_epoch_stand_there():
    (panel,) = plots.history({"loss": [4, 3, 2, 1, 0.5], "val_loss": [3, 1]}).axes
    np.testing.assert_array_equal(drawn(panel)["val_loss"], [[2, 3], [4, 1]])


@pytest.mark.parametrize("nothing", [{}, {"loss": []}])
def test_a_history_of_nothing_is_told(nothing):
    with pytest.raises(ValueError, match="holds no epoch"):
        plots.history(nothing)


def test_the_flow_of_a_gradient(rng, tmp_path):
    model = lr.Sequential(
        [
            Masking(),
            Bidirectional(LSTM(3, return_sequences=True), name="two"),
            LSTM(2, name="last"),
            Dense(1),
        ]
    )
    model.compile("sgd", "mse")
    x, y = rng.normal(size=(4, 6, 2)), rng.normal(size=(4, 1))
    x[:, 1] = 0  # a step that no row has
    flows = gradient_flow(model, x, y)
    figure = plots.gradient_flow(model, x, y)
    assert len(figure.axes) == 6
    titles = [panel.get_title(loc="left") for panel in figure.axes[::2]]
    assert titles == ["two/forward", "two/backward  (read backwards)", "last"]
    rows = zip(figure.axes[::2], figure.axes[1::2], flows.values(), strict=True)
    for left, right, flow in rows:
        lines = drawn(left) | drawn(right)
        shown = [flow.d_h, flow.d_c, flow.forget_product]
        for (_, points), values in zip(lines.items(), shown, strict=True):
            np.testing.assert_array_equal(points[:, 0], np.arange(6))
            np.testing.assert_array_equal(points[:, 1], np.where(values > 0, values, np.nan))
        assert "h" in next(iter(lines))
        assert left.get_yscale() == right.get_yscale() == "log"
    assert np.isnan(drawn(figure.axes[0]).popitem()[1][1, 1])
    figure.savefig(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_a_gradient_that_is_0_everywhere_can_be_drawn(rng, tmp_path):
    model = lr.Sequential([LSTM(2, return_sequences=True), Dense(1, kernel_initializer="zeros")])
    model.compile("sgd", "mse")
    x = rng.normal(size=(2, 3, 1))
    plots.gradient_flow(model, x, x).savefig(tmp_path / "picture.png")


def test_a_model_without_an_lstm_is_told(rng):
    model = lr.Sequential([Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="has no LSTM for a gradient to flow through"):
        plots.gradient_flow(model, np.ones((2, 3)), np.ones((2, 1)))


def test_the_package_has_the_pictures():
    assert lr.plots is plots


def test_without_matplotlib_the_command_is_named(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r'pip install "lstm-ref\[plot\]"'):
        plots.history({"loss": [1.0]})
