"""The same logs through Keras' callbacks and ours: what they do to a model, and what they print.

The model is a stand-in, the same for both, that writes down what is done to it. Real models are
compared in `test_callbacks_in_fit`.
"""

import io
import warnings
from contextlib import redirect_stdout
from itertools import count
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstm_ref.callbacks as ours
from tests.peers import require

BATCHES = 3
"""Batches an epoch."""


@pytest.fixture(scope="module")
def theirs() -> Any:
    return require("keras").callbacks


class StandIn:
    """What callbacks do to a model, written down."""

    def __init__(self, learning_rate: float = 0.1) -> None:
        self.stop_training = False
        self.optimizer = SimpleNamespace(learning_rate=learning_rate)
        self.weights = -1
        self.acts: list[Any] = []

    def get_weights(self) -> int:
        return self.weights

    def set_weights(self, weights: int) -> None:
        self.acts.append(("set_weights", weights))
        self.weights = weights

    def save(self, path: str, overwrite: bool) -> None:
        assert overwrite
        self.acts.append(("save", same_suffix(path)))

    def save_weights(self, path: str, overwrite: bool) -> None:
        assert overwrite
        self.acts.append(("save_weights", same_suffix(path)))


def same_suffix(text: str) -> str:
    return text.replace(".weights.h5", ".weights.npz").replace(".keras", ".npz")


def play(
    library: Any, make: Any, epochs: list[dict[str, Any]], initial: int = 0, batches: int = BATCHES
) -> Any:
    """A fit over these logs of its epochs: what was done, printed and warned, and the history.

    ``make(library)`` gives the callbacks. Within an epoch the logs of its batches go down from
    some times those at its end.
    """
    model = StandIn()
    output, steps = io.StringIO(), []
    with redirect_stdout(output), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        callbacks = make(library)
        calls = library.CallbackList(
            callbacks, add_history=True, model=model, epochs=initial + len(epochs), steps=batches
        )
        calls.on_train_begin()
        for epoch, logs in enumerate(epochs, initial):
            calls.on_epoch_begin(epoch)
            for batch in range(batches):
                calls.on_train_batch_begin(batch)
                model.weights = (epoch, batch)
                so_far = {n: v * (batches - batch) for n, v in logs.items() if "val_" not in n}
                calls.on_train_batch_end(batch, so_far)
                if model.stop_training:
                    break
            calls.on_epoch_end(epoch, dict(logs))
            steps.append((epoch, batch, model.optimizer.learning_rate))
            if model.stop_training:
                break
        calls.on_train_end(logs)
    history = model.history
    return SimpleNamespace(
        acts=model.acts,
        steps=steps,
        printed=same_suffix(output.getvalue()),
        warned=[first_words(w.message) for w in warned],
        history=list(history.history.items()),
        epochs=history.epoch,
        model_of_history=history.model is model,
        params=history.params,
        callbacks=callbacks,
    )


def first_words(warning: Any) -> str:
    """Of a warning. What ours add comes later, and names what there is otherwise than Keras."""
    return str(warning)[:38]


def compare(theirs: Any, make: Any, epochs: list[dict[str, Any]], *how: int) -> Any:
    """Both, and that nothing differs; what ours has done."""
    expected, got = play(theirs, make, epochs, *how), play(ours, make, epochs, *how)
    for name in ("acts", "steps", "printed", "warned", "history", "epochs", "params"):
        np.testing.assert_equal(getattr(got, name), getattr(expected, name), err_msg=name)
    assert got.model_of_history
    assert expected.model_of_history
    return got


def attributes(result: Any, *names: str) -> list[Any]:
    return [getattr(callback, name) for callback in result.callbacks for name in names]


# Few values, so that many are equal, and some are no numbers at all.
VALUES = st.lists(
    st.one_of(st.integers(-4, 9).map(lambda n: n / 8), st.sampled_from((np.inf, np.nan))),
    min_size=1,
    max_size=14,
)
MODES = st.sampled_from(("auto", "min", "max"))


def curve(values: list[float], monitor: str) -> list[dict[str, Any]]:
    return [{"loss": 1.5, "mae": n / 4, monitor: value} for n, value in enumerate(values)]


@given(
    values=VALUES,
    monitor=st.sampled_from(("loss", "val_loss")),
    mode=MODES,
    initial=st.sampled_from((0, 0, 3)),
    settings=st.fixed_dictionaries(
        {
            "min_delta": st.sampled_from((0, 0.125, -0.125, 0.3)),
            "patience": st.integers(0, 4),
            "verbose": st.integers(0, 1),
            "baseline": st.sampled_from((None, 0.25, 0.5)),
            "restore_best_weights": st.booleans(),
            "start_from_epoch": st.integers(0, 4),
        }
    ),
)
def test_early_stopping(theirs, values, monitor, mode, initial, settings):
    def make(library):
        return [library.EarlyStopping(monitor, mode=mode, **settings)]

    got = compare(theirs, make, curve(values, monitor), initial)
    expected = play(theirs, make, curve(values, monitor), initial)
    names = ("wait", "stopped_epoch", "best", "best_epoch", "best_weights", "patience", "baseline")
    np.testing.assert_equal(attributes(got, *names), attributes(expected, *names))


@given(
    values=VALUES,
    monitor=st.sampled_from(("loss", "val_loss", "learning_rate")),
    mode=MODES,
    settings=st.fixed_dictionaries(
        {
            "factor": st.sampled_from((0.1, 0.5, 0.99)),
            "patience": st.integers(0, 3),
            "verbose": st.integers(0, 1),
            "min_delta": st.sampled_from((0, 1e-4, 0.125, -0.2)),
            "cooldown": st.integers(0, 3),
            "min_lr": st.sampled_from((0.0, 0.01, 0.1, 0.3)),
        }
    ),
)
def test_reduce_lr_on_plateau(theirs, values, monitor, mode, settings):
    if monitor == "learning_rate" and mode == "auto":
        mode = "min"  # an error otherwise, in both

    def make(library):
        return [library.ReduceLROnPlateau(monitor, mode=mode, **settings)]

    got = compare(theirs, make, curve(values, monitor))
    expected = play(theirs, make, curve(values, monitor))
    names = ("wait", "cooldown_counter", "best")
    np.testing.assert_equal(attributes(got, *names), attributes(expected, *names))


@given(
    values=VALUES,
    monitor=st.sampled_from(("loss", "val_loss")),
    mode=MODES,
    settings=st.fixed_dictionaries(
        {
            "verbose": st.integers(0, 1),
            "save_best_only": st.booleans(),
            "save_weights_only": st.booleans(),
            "save_freq": st.sampled_from(("epoch", "epoch", 1, 2, 3, 4, 7)),
            "initial_value_threshold": st.sampled_from((None, 0.25, 0.5)),
        }
    ),
    field=st.sampled_from(("", "{epoch:02d}", "{epoch}-{loss:.3f}", "{epoch}-{mae}")),
    batches=st.integers(1, 3),
)
def test_model_checkpoint(theirs, values, monitor, mode, settings, field, batches):
    weights = ".weights" if settings["save_weights_only"] else ""
    if settings["save_freq"] != "epoch":
        field += "-{batch}" if settings["save_freq"] == 1 else ""
        if settings["save_best_only"] and monitor == "val_loss":
            monitor = "loss"  # Keras warns, and saves: see `test_what_is_watched_is_not_there`
        if settings["save_best_only"] and settings["save_freq"] < batches + 1:
            # Keras has not yet decided then what is better: 'NoneType' object is not callable.
            settings = {**settings, "save_best_only": False}

    def make(library):
        suffix = (".h5" if weights else ".keras") if library is theirs else ".npz"
        path = f"model{field}{weights}{suffix}"
        return [library.ModelCheckpoint(path, monitor, mode=mode, **settings)]

    got = compare(theirs, make, curve(values, monitor), 0, batches)
    expected = play(theirs, make, curve(values, monitor), 0, batches)
    np.testing.assert_equal(attributes(got, "best"), attributes(expected, "best"))
    if not settings["save_best_only"] and settings["save_freq"] == "epoch":
        assert len(got.acts) == len(values)


@pytest.mark.parametrize("verbose", [0, 1])
@pytest.mark.parametrize(
    "schedule",
    [
        lambda epoch, lr: lr * 0.5,
        lambda epoch: 1.0 / (1 + epoch),
        lambda epoch, lr, factor=0.25: np.float32(lr * factor),
        lambda epoch, scale=0.3: np.float64(scale * (epoch + 1)),
        lambda *epoch_and_lr: 0.1 * len(epoch_and_lr),
    ],
)
def test_learning_rate_scheduler(theirs, schedule, verbose):
    def make(library):
        return [library.LearningRateScheduler(schedule, verbose=verbose)]

    got = compare(theirs, make, curve([0.5] * 4, "val_loss"))
    assert [name for name, _ in got.history] == ["loss", "mae", "val_loss", "learning_rate"]
    assert got.printed.count("LearningRateScheduler setting learning rate to") == 4 * verbose


@pytest.mark.parametrize("gives", [1, "0.1", None])
def test_a_schedule_that_gives_no_float(theirs, gives):
    for library in (theirs, ours):
        with pytest.raises(ValueError, match=r"should be a float|a float is needed"):
            play(library, lambda lib: [lib.LearningRateScheduler(lambda _: gives)], curve([1], "a"))


def test_an_error_in_a_schedule_is_the_schedules_own():
    """Keras calls it again, with less, and shows the error of that."""

    def schedule(epoch, learning_rate):
        return learning_rate + "epoch"

    with pytest.raises(TypeError, match="unsupported operand"):
        play(ours, lambda lib: [lib.LearningRateScheduler(schedule)], curve([1], "a"))


@pytest.mark.parametrize("loss", [np.nan, np.inf, -np.inf])
def test_terminate_on_nan(theirs, loss):
    def make(library):
        return [library.TerminateOnNaN(), library.EarlyStopping("loss")]

    epochs = [{"loss": value} for value in (0.5, 0.25, loss, 0.1)]
    got = compare(theirs, make, epochs)
    assert got.epochs == [0, 1, 2]
    assert got.printed == "Batch 0: Invalid loss, terminating training\n"
    for library in (theirs, ours):
        with pytest.raises(RuntimeError, match="NaN or Inf loss encountered at batch 0"):
            play(library, lambda lib: [lib.TerminateOnNaN(raise_error=True)], epochs)


# Which callback comes when, and what it is given.


def spying(library: Any, name: str, told: list[Any], **acts: Any) -> Any:
    """A callback that writes down all it is told, and does more at some moments."""

    def moment(moment_name: str) -> Any:
        def method(self: Any, *at: Any, **more: Any) -> None:
            logs = at[-1] if at and isinstance(at[-1], dict) else more.get("logs")
            told.append((name, moment_name, at, more, None if logs is None else dict(logs)))
            acts.get(moment_name, lambda *_: None)(self, logs)

        return method

    runs = [f"on_{run}_{end}" for run in ("train", "test", "predict") for end in ("begin", "end")]
    epochs = ["on_epoch_begin", "on_epoch_end"]
    batches = [
        f"on_{run}batch_{end}"
        for run in ("", "train_", "test_", "predict_")
        for end in ("begin", "end")
    ]
    of_train = ("on_train_batch_begin", "on_train_batch_end")  # they call the older names
    methods = {m: moment(m) for m in (*runs, *epochs, *batches) if m not in of_train}
    return type("Spy", (library.Callback,), methods)()


def test_order_and_arguments_of_all_moments(theirs):
    def told_by(library):
        told: list[Any] = []
        first = spying(
            library, "first", told, on_epoch_end=lambda _, logs: logs.update(more=1.0, a=2.0)
        )
        nested = [first, [[spying(library, "second", told)], (spying(library, "third", told),)]]
        calls = library.CallbackList(nested, add_history=True, model=StandIn(), epochs=1)
        logs = {"z": np.float32(0.1), "a": 1, "deep": {"c": np.array(2.5)}, "more words": "yes"}
        for run in ("train", "test", "predict"):
            getattr(calls, f"on_{run}_begin")()
            if run == "train":
                calls.on_epoch_begin(4)
            getattr(calls, f"on_{run}_batch_begin")(0)
            getattr(calls, f"on_{run}_batch_end")(0, logs)
            if run == "train":
                calls.on_batch_begin(1)
                calls.on_batch_end(1, logs)
                calls.on_epoch_end(4, logs)
            getattr(calls, f"on_{run}_end")(logs)
        assert logs["z"].dtype == np.float32  # what callbacks put in or change stays among them
        assert "more" not in logs
        history = calls.history if library is ours else calls._history
        return told, history.history, history.epoch

    got, expected = told_by(ours), told_by(theirs)
    assert got == expected
    assert [list(g[4] or {}) for g in got[0]] == [list(e[4] or {}) for e in expected[0]]
    types = [{name: type(value) for name, value in (told[4] or {}).items()} for told in got[0]]
    assert types == [
        {name: type(value) for name, value in (told[4] or {}).items()} for told in expected[0]
    ]


@pytest.mark.parametrize(
    "given_callbacks", [None, [], "one", ["one"]], ids=["none", "empty", "alone", "list"]
)
def test_how_callbacks_are_given(theirs, given_callbacks):
    for library in (theirs, ours):
        told: list[Any] = []
        one = spying(library, "one", told)
        callbacks = one if given_callbacks == "one" else given_callbacks
        if given_callbacks == ["one"]:
            callbacks = [one]
        calls = library.CallbackList(callbacks, model=StandIn())
        calls.on_epoch_begin(0)
        assert len(told) == (1 if given_callbacks and "one" in given_callbacks else 0)


def test_a_history_of_ones_own_is_used_and_grows(theirs):
    def curves(library):
        history = library.History()
        play(library, lambda lib: [history, lib.EarlyStopping("loss")], curve([1, 0.5], "val_a"))
        again = play(library, lambda lib: [history], curve([3], "val_a"), 7)
        return list(history.history.items()), history.epoch, again.history

    assert curves(ours) == curves(theirs)


def test_callbacks_are_used_again(theirs):
    """The second training begins anew, but for what Keras keeps: the best value of files."""

    def acts(library):
        path = "{epoch}.keras" if library is theirs else "{epoch}.npz"
        kept = [
            library.EarlyStopping("loss", patience=2, restore_best_weights=True, verbose=1),
            library.ReduceLROnPlateau("loss", patience=1, verbose=1, cooldown=1),
            library.ModelCheckpoint(path, "loss", save_best_only=True, verbose=1),
        ]
        runs = [
            play(library, lambda _: kept, curve(values, "loss"))
            for values in ([0.5, 0.4, 0.5, 0.6, 0.2], [0.9, 0.8, 0.7, 0.75, 0.3, 0.4])
        ]
        return [(run.acts, run.steps, run.printed, run.history) for run in runs]

    assert acts(ours) == acts(theirs)


def test_the_first_epoch_never_stops(theirs):
    """Not even where the best value was set by hand."""
    for library in (theirs, ours):
        stopper = library.EarlyStopping("loss")
        stopper.set_model(StandIn())
        stopper.on_train_begin()
        stopper.best = 0.1
        stopper.on_epoch_end(0, {"loss": 0.2})
        assert not stopper.model.stop_training
        stopper.on_epoch_end(1, {"loss": 0.2})
        assert stopper.model.stop_training


# What is watched.


def watching(library: Any, name: str, **arguments: Any) -> Any:
    """One of the callbacks that watch a number."""
    suffix = ".npz" if library is ours else ".keras"
    file = [f"model{suffix}"] if name == "ModelCheckpoint" else []
    return getattr(library, name)(*file, **arguments)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("EarlyStopping", {"mode": "min"}),
        ("EarlyStopping", {"mode": "max", "start_from_epoch": 1}),
        ("ReduceLROnPlateau", {"mode": "min"}),
        ("ModelCheckpoint", {"mode": "max", "save_best_only": True}),
    ],
)
def test_what_is_watched_is_not_there(theirs, name, arguments):
    def make(library):
        file = (
            [] if name != "ModelCheckpoint" else [f"a{'.keras' if library is theirs else '.npz'}"]
        )
        return [getattr(library, name)(*file, monitor="val_mea", **arguments)]

    got = compare(theirs, make, curve([1, 2], "val_mae"))
    assert len(got.warned) == 2
    calls = ours.CallbackList(make(ours), model=StandIn())
    with pytest.warns(UserWarning, match=r"vailable .*are:? loss, mae, val_mae"):
        calls.on_epoch_end(0, {"val_mae": 1, "loss": 2, "mae": 3})


@pytest.mark.parametrize("name", ["EarlyStopping", "ReduceLROnPlateau", "ModelCheckpoint"])
def test_a_mode_that_is_not_there(theirs, name):
    for library in (theirs, ours):
        with pytest.warns(UserWarning, match=f"{name} mode 'maximal' is unknown"):
            callback = watching(library, name, mode="maximal")
        assert callback.mode == "auto"


@pytest.mark.parametrize("monitor", ["val_mae", "mae", "learning_rate", "val_val_loss", "Loss"])
@pytest.mark.parametrize("name", ["EarlyStopping", "ReduceLROnPlateau", "ModelCheckpoint"])
def test_a_direction_nobody_knows(theirs, name, monitor):
    """Keras says so after the first epoch, we before it."""
    for library in (theirs, ours):
        with pytest.raises(ValueError, match=rf"{name}.*monitor='?{monitor}.*mode='m"):
            play(library, lambda lib: [watching(lib, name, monitor=monitor)], curve([1], monitor))


def test_a_number_that_is_many(theirs):
    """An array instead of a number: the model is saved without being compared."""

    def make(library):
        path = "a.keras" if library is theirs else "a.npz"
        return [library.ModelCheckpoint(path, "many", mode="min", save_best_only=True)]

    got = compare(theirs, make, [{"many": np.array([1.0, 2.0])}, {"many": np.array([3.0, 4.0])}])
    assert got.warned == ["Can save best model only when `monitor"] * 2
    assert len(got.acts) == 2


# CSVLogger.


ROWS = {
    "losses": [{"loss": 0.1 + 0.2, "mae": 1e-17}, {"loss": float(np.float32(0.1)), "mae": 3.0}],
    "validation": [{"val_loss": 1.0, "loss": 2.0, "zeta": 3.0}, {"loss": 2.0, "zeta": 1e300}],
    "validation later": [{"loss": 2.0}, {"loss": 2.0, "val_loss": 0.5, "more": 1.0}],
    "no numbers": [{"loss": np.nan, "words": 'a, "b"\nc'}, {"loss": -np.inf, "words": "a;b"}],
    "arrays": [{"a": np.array([1.0, 2.5]), "b": [1, "x"], "c": np.array(3.0)}],
    "several letters": [{"a": 1, "B": 2, "Ab": 3}],
    "nothing": [{}, {}],
}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("append", [False, True])
def test_csv_logger(theirs, rows, separator, append, tmp_path):
    """Three trainings into one file, the third by the object of the second."""
    files = []
    for library in (theirs, ours):
        path = tmp_path / f"{len(files)}.csv"
        arguments = {"separator": separator, "append": append}
        play(library, lambda lib: lib.CSVLogger(path, **arguments), ROWS[rows])  # noqa: B023
        kept = library.CSVLogger(str(path), **arguments)
        for initial in (2, 5):
            play(library, lambda _: [kept], ROWS[rows], initial)  # noqa: B023
        files.append(path.read_bytes())
    assert files[0] == files[1]
    assert files[0].count(b"epoch") == 1


def test_the_file_is_complete_after_each_epoch(tmp_path):
    path, seen, numbers = tmp_path / "log.csv", [], count()
    look = ours.LambdaCallback(
        on_train_begin=lambda _: seen.append(path.read_text()),
        on_epoch_end=lambda *_: seen.append(path.read_text()),
    )
    path.write_text("of an older training")
    play(ours, lambda lib: [lib.CSVLogger(path), look], [{"loss": next(numbers)} for _ in "ab"])
    assert seen == [
        "",
        "epoch,loss,val_loss\n0,0.0,NA\n",
        "epoch,loss,val_loss\n0,0.0,NA\n1,1.0,NA\n",
    ]


@pytest.mark.parametrize("separator", ["", ", ", None])
def test_a_separator_is_one_character(separator):
    with pytest.raises(ValueError, match="one character is needed"):
        ours.CSVLogger("log.csv", separator)


# LambdaCallback.


def test_lambda_callback(theirs):
    moments = (
        *("on_train_begin", "on_epoch_begin", "on_train_batch_begin", "on_train_batch_end"),
        *("on_epoch_end", "on_train_end"),
    )

    def told_by(library):
        told: list[Any] = []
        functions = {
            name: lambda *at, _name=name, **more: told.append((_name, at, more)) for name in moments
        }
        play(library, lambda lib: [lib.LambdaCallback(**functions)], curve([1, 2], "val_a"))
        return told

    got = told_by(ours)
    assert got == told_by(theirs)
    assert {name for name, *_ in got} == set(moments)


def test_lambda_callback_takes_names_of_callback_alone():
    told: list[Any] = []
    callback = ours.LambdaCallback(on_predict_end=told.append, note=3)
    assert callback.note == 3
    ours.CallbackList(callback).on_predict_end({"a": 1})
    assert told == [{"a": 1.0}]
    with pytest.raises(TypeError, match=r"on_epoch_ends=.*there are .*on_epoch_end,"):
        ours.LambdaCallback(on_epoch_ends=print)
    with pytest.raises(TypeError, match="a function is needed"):
        ours.LambdaCallback(on_test_end="print")
