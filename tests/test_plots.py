"""Pictures: what is drawn is what was given."""

import sys

import numpy as np
import pytest

from lstm_ref.errors import MissingExtraError, ShapeError
from lstm_ref.plots import forecast_figure, history_figure


def test_a_panel_for_each_column_with_both_lines(rng, tmp_path):
    measured, predicted = rng.normal(size=(2, 30, 3))
    predicted[4] = np.nan
    figure = forecast_figure(
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
    forecast_figure(np.ones((1, 1)), np.ones((1, 1)), ["a"]).savefig(tmp_path / "picture.png")


@pytest.mark.parametrize(
    ("measured", "predicted", "names"),
    [((5, 2), (5, 1), ["a", "b"]), ((5, 2), (5, 2), ["a"]), ((5,), (5,), ["a"])],
)
def test_arrays_that_do_not_fit_are_told(measured, predicted, names):
    with pytest.raises(ShapeError, match=r"for a single column use values\[:, None\]"):
        forecast_figure(np.zeros(measured), np.zeros(predicted), names)


def test_the_history_of_a_training():
    figure = history_figure({"loss": [1.0, 0.5, 0.01], "val_loss": [1.0, 0.7, 0.4]})
    (panel,) = figure.axes
    assert [line.get_label() for line in panel.get_lines()] == ["loss", "val_loss"]
    np.testing.assert_array_equal(panel.get_lines()[0].get_xydata()[:, 1], [1.0, 0.5, 0.01])
    np.testing.assert_array_equal(panel.get_lines()[0].get_xydata()[:, 0], [1, 2, 3])
    assert panel.get_yscale() == "log"  # over more than a factor of 20
    assert history_figure({"loss": [1.0, 0.9]}).axes[0].get_yscale() == "linear"


def test_without_matplotlib_the_command_is_named(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r'pip install "lstm-ref\[plot\]"'):
        history_figure({"loss": [1.0]})
