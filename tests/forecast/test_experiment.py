"""From a table to scores: what is held out is not learned from, and the settings arrive."""

import numpy as np
import pytest

from lstm_ref.forecast import Settings, plan_experiment, run_experiment
from lstm_ref.sequences import Table


@pytest.fixture
def table() -> Table:
    wave = 20 + 5 * np.sin(np.arange(200) * 2 * np.pi / 25)
    return Table(("a",), wave[:, None])


def test_a_wave_is_learned(table):
    settings = Settings(window=12, units=8, epochs=40, batch_size=8, learning_rate=0.01)
    plan = plan_experiment(table, ["a"], ["a"], settings, first=150)
    watched = []

    def watch(losses):
        for loss in losses:
            watched.append(loss)
            yield loss

    experiment = run_experiment(plan, period=20, watch=watch)
    assert experiment.losses == watched
    assert len(watched) == 40
    (score,) = experiment.scores
    assert score.rows == 50
    assert score.beats_baselines
    assert set(experiment.of_row) == {"model", "persistence", "seasonal"}
    errors = (experiment.of_row["model"] - table.values)[150:]
    assert score.model == pytest.approx(np.sqrt(np.mean(errors**2)))


def test_what_is_held_out_changes_neither_scaling_nor_weights(table):
    settings = Settings(window=12, units=4, epochs=1)
    other = Table(("a",), np.concatenate([table.values[:150], table.values[150:] * 100]))
    models = []
    for source in (table, other):
        plan = plan_experiment(source, ["a"], ["a"], settings, first=150)
        run_experiment(plan)
        models.append(plan.model)
    assert models[0].metadata == models[1].metadata
    for one, another in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_array_equal(one, another)


def test_nothing_held_out_is_not_scored(table):
    plan = plan_experiment(table, ["a"], ["a"], Settings(window=12, units=2, epochs=1), first=200)
    assert run_experiment(plan).scores == []
