"""A fit that is killed and goes on equals one that was never killed, to the last bit."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstm_ref as lr
from lstm_ref.callbacks import (
    BackupAndRestore,
    Callback,
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
)
from lstm_ref.layers import LSTM, Bidirectional, Dense, Dropout, Input, Masking
from lstm_ref.training.callbacks.callback_list import CallbackList
from lstm_ref.training.callbacks.memory import divided, joined, memories, remember
from tests.peers import ROOT

N, T, D, BATCH, EPOCHS = 12, 5, 3, 5, 4
STEPS = 3  # two whole batches and one of two rows


class KilledError(Exception):
    """Ends a fit as a kill would: nothing is done after it."""


class Kill(Callback):
    """Raises at a moment: ("on_epoch_end", 2), or ("on_train_batch_end", 2, 1) in epoch 2."""

    def __init__(self, moment: str, epoch: int, batch: int | None = None) -> None:
        self.at = moment, epoch, batch
        self.epoch = -1

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch
        self._maybe("on_epoch_begin", None)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._maybe("on_train_batch_begin", batch)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._maybe("on_train_batch_end", batch)

    def on_test_begin(self, logs: Any = None) -> None:
        self._maybe("on_test_begin", None)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._maybe("on_epoch_end", None)

    def on_train_end(self, logs: Any = None) -> None:
        self._maybe("on_train_end", None)

    def _maybe(self, moment: str, batch: int | None) -> None:
        if (moment, self.epoch, batch) == self.at:
            raise KilledError


def plain_model() -> Any:
    return [Input((T, D)), Masking(), LSTM(4, return_sequences=True), Dense(1)]


def with_dropout() -> Any:
    return [
        Input((T, D)),
        Masking(),
        Bidirectional(LSTM(3, return_sequences=True, dropout=0.3, recurrent_dropout=0.2)),
        Dropout(0.4),
        Dense(1),
    ]


def stateful() -> Any:
    return [
        Input(batch_shape=(4, T, D)),
        LSTM(4, return_sequences=True, stateful=True, dropout=0.2),
        Dense(1),
    ]


def optimizers() -> dict[str, Any]:
    from lstm_ref.optimizers import SGD, Adam, RMSprop

    return {
        "momentum": lambda: SGD(0.05, momentum=0.9, nesterov=True),
        "adam": lambda: Adam(0.01, amsgrad=True),
        "rmsprop": lambda: RMSprop(0.01, momentum=0.5, centered=True),
    }


MODELS = {"plain": plain_model, "dropout": with_dropout, "stateful": stateful}


def data(seed: int = 7) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(N, T, D)), rng.integers(0, 2, (N, T, 1)).astype(float)
    x[1, 3:] = x[4, :2] = 0
    held = rng.normal(size=(4, T, D)), rng.normal(size=(4, T, 1))
    return {"x": x, "y": y, "validation_data": held, "sample_weight": rng.random((N, T))}


def usual_callbacks(folder: Path) -> list[Callback]:
    """Those with a memory, set so that each of them acts within a few epochs."""
    return [
        EarlyStopping("val_loss", patience=3, restore_best_weights=True),
        ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=0.05, cooldown=1),
        LearningRateScheduler(lambda _, rate: rate * 0.9),
        ModelCheckpoint(folder / "best.npz", "val_mae", save_best_only=True),
        CSVLogger(folder / "log.csv", append=True),
    ]


class Run:
    """A program that trains, and may be started again."""

    def __init__(
        self, folder: Path, model: str, optimizer: str = "adam", more: Any = (), **options: Any
    ) -> None:
        self.folder, self.more, self.options = folder, more, options
        self.make, self.optimizer = MODELS[model], optimizers()[optimizer]
        folder.mkdir(exist_ok=True)

    def __call__(
        self, kill: Kill | None = None, seed: int = 1, epochs: int = EPOCHS, **backup: Any
    ) -> tuple[Any, Any]:
        """The model and its history; ``seed`` is that of what a fit draws anew."""
        lr.clear_session()
        lr.set_seed(seed)
        model = lr.Sequential(self.make())
        model.compile(self.optimizer(), "mse", metrics=["mae", "accuracy"])
        keep = BackupAndRestore(self.folder / "backup", **backup)
        callbacks = [keep, *usual_callbacks(self.folder), *self.more, *([kill] if kill else [])]
        rows = 4 if self.make is stateful else BATCH
        options = data() | {"batch_size": rows, "epochs": epochs, "verbose": 0} | self.options
        return model, model.fit(callbacks=callbacks, **options)


def assert_same(got: tuple[Any, Any], expected: tuple[Any, Any]) -> None:
    """The same weights, optimizer and epochs, to the last bit."""
    (model, history), (whole, whole_history) = got, expected
    for name, weight in whole.named_weights().items():
        np.testing.assert_array_equal(model.named_weights()[name], weight, err_msg=name)
    state, whole_state = model.training_state(), whole.training_state()
    assert state.numbers == whole_state.numbers
    for name, array in whole_state.arrays.items():
        np.testing.assert_array_equal(state.arrays[name], array, err_msg=name)
    first = len(whole_history.epoch) - len(history.epoch)
    assert history.epoch == whole_history.epoch[first:]
    for name, values in history.history.items():
        assert values == whole_history.history[name][first:], name


def killed(run: Run, kill: Kill, **backup: Any) -> None:
    with pytest.raises(KilledError):
        run(kill, **backup)


MOMENTS = {
    "begin": ("on_epoch_begin", 2),
    "first batch": ("on_train_batch_end", 2, 0),
    "second batch": ("on_train_batch_end", 2, 1),
    "last batch": ("on_train_batch_end", 1, STEPS - 1),
    "validation": ("on_test_begin", 1),
    "end": ("on_epoch_end", 2),
    "at the end of all": ("on_train_end", EPOCHS - 1),
    "before anything": ("on_train_batch_begin", 0, 0),
}


@pytest.mark.parametrize("save_freq", ["epoch", 1, 2])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(
    ("model", "optimizer"), [("plain", "adam"), ("dropout", "momentum"), ("stateful", "rmsprop")]
)
def test_the_same_to_the_last_bit(model, optimizer, moment, save_freq, tmp_path):
    whole = Run(tmp_path / "whole", model, optimizer)()
    run = Run(tmp_path / "killed", model, optimizer)
    killed(run, Kill(*MOMENTS[moment]), save_freq=save_freq)
    # Where nothing was kept, it begins again, and draws the same; elsewhere it draws otherwise.
    again = run(seed=1 if moment == "before anything" else 99, save_freq=save_freq)
    assert_same(again, whole)
    assert not (tmp_path / "killed" / "backup").exists()
    assert (tmp_path / "killed" / "best.npz").read_bytes() == (
        tmp_path / "whole" / "best.npz"
    ).read_bytes()
    rows = [(tmp_path / name / "log.csv").read_text().splitlines() for name in ("whole", "killed")]
    assert rows[0][0] == rows[1][0]
    assert set(rows[0]) == set(rows[1])  # an epoch that was done twice has two rows


def test_killed_again_and_again(tmp_path):
    whole = Run(tmp_path / "whole", "dropout")()
    run = Run(tmp_path / "killed", "dropout")
    kills = (
        ("on_train_batch_end", 0, 1),
        ("on_train_batch_begin", 1, 1),
        ("on_train_batch_end", 1, STEPS - 1),
        ("on_epoch_end", 1),
        ("on_epoch_begin", 2),
        ("on_train_batch_end", 2, 1),
        ("on_test_begin", 3),
        ("on_train_end", 3),
    )
    for n, kill in enumerate(kills):
        with pytest.raises(KilledError):
            run(Kill(*kill), seed=n + 1, save_freq=1)
    assert_same(run(seed=77, save_freq=1), whole)


def test_without_shuffling(tmp_path):
    whole = Run(tmp_path / "whole", "plain", shuffle=False)()
    run = Run(tmp_path / "killed", "plain", shuffle=False)
    killed(run, Kill("on_train_batch_end", 1, 1), save_freq=1)
    assert_same(run(seed=5, save_freq=1), whole)


def test_a_stopped_training_stays_stopped(tmp_path, capsys):
    """It was killed after EarlyStopping had spoken, and before the best weights were back."""

    def fit(folder: Path, kill: Kill | None = None) -> Any:
        lr.clear_session()
        lr.set_seed(1)
        model = lr.Sequential(plain_model())
        model.compile("adam", "mse")
        stop = EarlyStopping("loss", mode="max", restore_best_weights=True, verbose=1, patience=2)
        callbacks = [*([kill] if kill else []), BackupAndRestore(folder), stop]
        return model, model.fit(callbacks=callbacks, **data() | {"epochs": 9, "verbose": 0})

    whole = fit(tmp_path / "whole")
    assert len(whole[1].epoch) == 3
    printed = capsys.readouterr().out
    assert "early stopping" in printed
    with pytest.raises(KilledError):
        fit(tmp_path / "killed", Kill("on_train_end", 2))
    model, history = fit(tmp_path / "killed")
    assert history.epoch == []
    assert model.stop_training
    assert capsys.readouterr().out == printed
    for got, expected in zip(model.get_weights(), whole[0].get_weights(), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_a_training_stopped_within_an_epoch(tmp_path):
    """It was killed in the validation that follows; so the epoch has an end to come."""

    class Stop(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.stop_training = batch == 1

    whole = Run(tmp_path / "whole", "plain", more=[Stop()])()
    run = Run(tmp_path / "killed", "plain", more=[Stop()])
    killed(run, Kill("on_test_begin", 0), save_freq=1)
    again = run(seed=3, save_freq=1)
    assert again[1].epoch == [0]
    assert_same(again, whole)


def test_a_save_that_falls_on_the_end_of_an_epoch(tmp_path):
    """It holds the end of the epoch, with its validation."""
    run = Run(tmp_path, "plain")
    killed(run, Kill("on_epoch_begin", 2), save_freq=STEPS)
    assert run(save_freq=STEPS)[1].epoch == [2, 3]


def test_what_is_kept_can_be_gone_on_from_with_more_epochs(tmp_path):
    whole = Run(tmp_path / "whole", "dropout")()
    run = Run(tmp_path / "parts", "dropout")
    for epochs in (1, 3):
        _, history = run(seed=epochs, epochs=epochs, delete_checkpoint=False)
        assert history.epoch == ([0] if epochs == 1 else [1, 2])
    _, history = run(epochs=3, delete_checkpoint=False)
    assert history.epoch == []
    assert_same(run(seed=5), whole)


def test_initial_epoch_gives_way_to_the_backup(tmp_path):
    run = Run(tmp_path, "plain")
    killed(run, Kill("on_epoch_begin", 2))
    run.options["initial_epoch"] = 1
    assert run()[1].epoch == [2, 3]
    assert run()[1].epoch == [1, 2, 3]  # the backup is gone


def test_the_backup_before_the_last_one(tmp_path):
    whole = Run(tmp_path / "whole", "plain")()
    run = Run(tmp_path / "killed", "plain")
    killed(run, Kill("on_epoch_begin", 3), double_checkpoint=True)
    backup = tmp_path / "killed" / "backup"
    assert sorted(file.name for file in backup.iterdir()) == ["latest.npz", "previous.npz"]
    good = (backup / "previous.npz").read_bytes()

    (backup / "latest.npz").unlink()  # killed between the two steps of saving
    copy = shutil.copytree(tmp_path / "killed", tmp_path / "copy")
    assert_same(Run(Path(copy), "plain")(double_checkpoint=True), whole)

    (backup / "latest.npz").write_bytes(good[:-10])
    with pytest.warns(UserWarning, match=r"latest\.npz.*the backup before it is used"):
        killed(run, Kill("on_epoch_begin", 2), double_checkpoint=True)
    assert [(file.name, file.read_bytes()) for file in backup.iterdir()] == [("latest.npz", good)]
    assert_same(run(double_checkpoint=True), whole)


def test_a_broken_backup_is_an_error(tmp_path):
    run = Run(tmp_path, "plain")
    killed(run, Kill("on_epoch_begin", 2))
    path = tmp_path / "backup" / "latest.npz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(lr.ModelFormatError, match=r"latest\.npz"):
        run()
    lr.Sequential(plain_model()).save(path)
    with pytest.raises(lr.ModelFormatError, match="is not what BackupAndRestore writes"):
        run()


def test_the_program_must_be_the_same(tmp_path):
    run = Run(tmp_path, "plain")
    killed(run, Kill("on_epoch_begin", 2))
    run.make = with_dropout
    with pytest.raises(ValueError, match=r"the backup in .* has the weights .*delete the folder"):
        run()
    model = lr.Sequential(plain_model())
    model.compile(run.optimizer(), "mse", metrics=["mae"])
    callbacks = [BackupAndRestore(tmp_path / "backup"), EarlyStopping(), EarlyStopping("loss")]
    lr.clear_session()
    model = lr.Sequential(plain_model())
    model.compile(run.optimizer(), "mse", metrics=["mae"])
    with pytest.raises(
        ValueError,
        match=r"had the callbacks .*CSVLogger, and this one has .*EarlyStopping 2.*delete",
    ):
        model.fit(callbacks=callbacks, **data() | {"verbose": 0})


def test_only_its_own_files_are_deleted(tmp_path):
    run = Run(tmp_path, "plain")
    backup = tmp_path / "backup"
    backup.mkdir()
    (backup / "notes.txt").write_text("mine")
    (backup / ".lstm_ref-0123456789abcdef.tmp").write_text("of a fit that was killed")
    run(epochs=1, double_checkpoint=True)
    assert [file.name for file in backup.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("backup_dir", ["", None])
def test_a_folder_is_needed(backup_dir):
    with pytest.raises(ValueError, match="the name of a folder is needed"):
        BackupAndRestore(backup_dir)


def test_a_folder_that_cannot_be_made_is_an_error_before_training(tmp_path):
    (tmp_path / "backup").write_text("a file")
    epochs: list[int] = []
    model = lr.Sequential(plain_model())
    model.compile("sgd", "mse")
    told = LambdaCallback(on_epoch_begin=lambda epoch, _: epochs.append(epoch))
    with pytest.raises(FileExistsError):
        model.fit(callbacks=[BackupAndRestore(tmp_path / "backup"), told], **data())
    assert epochs == []


# The memory of callbacks.


def test_the_memory_of_a_callback_of_ones_own(tmp_path):
    class Counter(Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            self.state: dict[str, Any] = {"count": 0, "mean": np.zeros(2), "worst": -np.inf}

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            mean = self.state["mean"] + epoch
            self.state = {"count": self.state["count"] + 1, "mean": mean, "worst": -np.inf}

        def get_state(self) -> dict[str, Any]:
            return self.state

        def set_state(self, state: dict[str, Any]) -> None:
            self.state = state

    model = lr.Sequential(plain_model())
    model.compile("sgd", "mse")
    counter = Counter()
    for kill in (Kill("on_epoch_begin", 2), None):
        callbacks = [BackupAndRestore(tmp_path), counter, *([kill] if kill else [])]
        try:
            model.fit(callbacks=callbacks, **data() | {"epochs": 4, "verbose": 0})
        except KilledError:
            counter = Counter()
    assert counter.state["count"] == 4
    assert counter.state["worst"] == -np.inf
    np.testing.assert_array_equal(counter.state["mean"], [6, 6])


class StandIn:
    """What callbacks do to a model, written down."""

    def __init__(self) -> None:
        self.stop_training, self.optimizer = False, SimpleNamespace(learning_rate=0.1)
        self.acts: list[Any] = []

    def get_weights(self) -> list[Any]:
        return [np.full(2, float(len(self.acts)))]

    def set_weights(self, weights: list[Any]) -> None:
        self.acts.append([weight.tolist() for weight in weights])

    def save(self, path: str, overwrite: bool) -> None:
        self.acts.append((path, overwrite))


@given(
    values=st.lists(st.integers(0, 8).map(lambda n: n / 8), min_size=8, max_size=14),
    begin=st.integers(1, 7),
    patience=st.integers(0, 5),
    cooldown=st.integers(0, 3),
    save_freq=st.integers(1, 7),
)
def test_the_memory_of_those_here(values, begin, patience, cooldown, save_freq):
    """New callbacks go on in the middle of the logs, with the memory of the old ones."""

    def make() -> list[Callback]:
        return [
            EarlyStopping("loss", patience=patience, restore_best_weights=True),
            ReduceLROnPlateau("loss", patience=patience, cooldown=cooldown),
            ModelCheckpoint("{epoch}.npz", "loss", save_best_only=True),
            ModelCheckpoint("{epoch}-{batch}.npz", save_freq=save_freq),
        ]

    def play(callbacks: list[Callback], model: Any, first: int, logs: list[float]) -> None:
        calls = CallbackList(callbacks, model=model)
        for epoch, loss in enumerate(logs, first):
            calls.on_epoch_begin(epoch)
            for batch in range(2):
                calls.on_train_batch_end(batch, {"loss": loss})
            calls.on_epoch_end(epoch, {"loss": loss})
            model.acts.append((model.optimizer.learning_rate, model.stop_training))
        if first + len(logs) == len(values):
            calls.on_train_end({})

    whole, whole_model = make(), StandIn()
    CallbackList(whole, model=whole_model).on_train_begin()
    play(whole, whole_model, 0, values)

    parts, model = make(), StandIn()
    CallbackList(parts, model=model).on_train_begin()
    play(parts, model, 0, values[:begin])
    arrays: dict[str, Any] = {}
    text = json.dumps(divided(memories(parts), arrays))
    parts = make()
    CallbackList(parts, model=model).on_train_begin()
    remember(parts, joined(json.loads(text), arrays))
    play(parts, model, begin, values[begin:])
    assert model.acts == whole_model.acts


def test_a_table_that_goes_on_keeps_its_columns(tmp_path):
    """Those of a validation came after all others, because the first epoch had none."""
    table = tmp_path / "log.csv"
    rows = [{"loss": 1, "weight": 2}, {"loss": 3, "weight": 4, "val_loss": 5, "val_weight": 6}]
    memory: dict[str, Any] = {}
    for epoch, logs in enumerate(rows):
        logger = CSVLogger(table, append=True)
        logger.on_train_begin()
        logger.set_state(memory or logger.get_state())
        logger.on_epoch_end(epoch, logs)
        memory = logger.get_state()
    assert table.read_text().splitlines() == [
        "epoch,loss,weight,val_loss,val_weight",
        "0,1,2,NA,NA",
        "1,3,4,5,6",
    ]


STATES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(),
        st.sampled_from([np.float64(0.1), np.int64(3), np.float32(np.nan), np.ones((2, 3))]),
    ),
    lambda parts: st.one_of(
        st.lists(parts, max_size=4), st.dictionaries(st.text("abc", max_size=3), parts, max_size=4)
    ),
    max_leaves=12,
)


@given(state=STATES)
def test_every_state_comes_back(state):
    arrays: dict[str, Any] = {}
    text = json.dumps(divided(state, arrays), allow_nan=False)
    np.testing.assert_equal(joined(json.loads(text), arrays), state)


def test_what_stands_for_nothing():
    for value in ({"@array": "callbacks/7"}, {"@float": "many"}, {"@array": []}):
        with pytest.raises(lr.ModelFormatError, match="stands for nothing"):
            joined([value], {"callbacks/0": np.ones(1)})


def test_it_is_called_after_all_others():
    keep, others = BackupAndRestore("folder"), [EarlyStopping(), ReduceLROnPlateau()]
    calls = CallbackList([keep, *others], add_history=True)
    assert [m.__self__ for m in calls.on_epoch_end.methods] == [*others, calls.history, keep]


# Killed for good.

PROGRAM = """
import sys
from pathlib import Path
import lstm_ref as lr
from tests.training import test_callbacks_backup as tests

class Said(tests.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        print("at work", flush=True)

folder, seed, epochs = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
every = tests.ModelCheckpoint(folder / "every.npz", save_freq=1)
run = tests.Run(folder, "dropout", more=[every, Said()])
model, _ = run(seed=seed, epochs=epochs, save_freq=1)
model.save(folder / "end.npz")
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="not on this platform: SIGKILL")
def test_killed_at_random_moments(tmp_path):
    """Whatever the moment: every file can be read, and the end is the same."""
    rng, epochs = np.random.default_rng(0), 12

    def start(folder: Path, seed: int) -> Any:
        command = [sys.executable, "-c", PROGRAM, str(folder), str(seed), str(epochs)]
        environment = os.environ | {"LSTM_REF_BACKEND": "numpy"}  # it starts at once
        child = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
        )
        return child, child.stdout

    whole, output = start(tmp_path / "whole", 1)
    began = time.perf_counter()
    with output:
        output.readline()
        began = time.perf_counter()
        output.read()
    assert whole.wait() == 0
    duration = time.perf_counter() - began

    folder, kills, seed = tmp_path / "killed", 0, 1
    while kills < 8 or not (folder / "end.npz").exists():
        child, output = start(folder, seed)
        with output:
            if kills < 8:
                output.readline()
                time.sleep(rng.uniform(0, duration / 3))
                child.send_signal(signal.SIGKILL)
            output.read()
        if child.wait() == 0:
            break
        assert child.returncode == -signal.SIGKILL
        kills += 1
        for name in ("best.npz", "every.npz"):
            if (folder / name).exists():
                lr.load_model(folder / name)
        # It goes on from a backup. Before there is one, and after the training has ended, it begins
        # again, and must draw the same.
        seed = kills + 1 if (folder / "backup" / "latest.npz").exists() else 1
    assert kills > 3
    assert (folder / "end.npz").read_bytes() == (tmp_path / "whole" / "end.npz").read_bytes()
