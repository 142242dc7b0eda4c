"""Callbacks in real trainings, beside Keras: the same epochs, numbers, files and order of calls."""

import csv
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import lstm_ref as lr
import lstm_ref.callbacks
from tests.keras_peer import OURS, Library, assert_close, keras_library, library_dtype, twin_models
from tests.peers import require

N, T, D, K = 10, 5, 3, 2
ULPS = 3000
"""Steps so large that the loss rises make rounding grow, too; measured: at most 1500."""


def callbacks_of(lib: Library) -> ModuleType:
    return require("keras").callbacks if lib.is_keras else lstm_ref.callbacks


def data(rng: np.random.Generator) -> dict[str, Any]:
    """x, y and validation data."""
    x, y = rng.normal(size=(N, T, D)), rng.normal(size=(N, T, K))
    x[2, 3:] = x[5, :2] = 0
    return {"x": x[:7], "y": y[:7], "validation_data": (x[7:], y[7:])}


def masked(lib: Library) -> Any:
    return lib.models.Sequential(
        [
            lib.layers.Input((T, D)),
            lib.layers.Masking(),
            lib.layers.LSTM(4, return_sequences=True),
            lib.layers.Dense(K),
        ]
    )


def fit_both(
    make: Any, rng: np.random.Generator, optimizer: str = "SGD", rate: float = 0.1, **options: Any
) -> list[Any]:
    """Keras' model and ours, trained with ``make(library)`` as callbacks; their histories."""
    fitted, arguments = [], data(rng) | {"batch_size": 4, "shuffle": False, "verbose": 0} | options
    libraries = keras_library(), OURS
    for lib, model in zip(libraries, twin_models(masked, rng, (None, T, D)), strict=True):
        model.compile(getattr(lib.optimizers, optimizer)(rate), "mse", metrics=["mae"])
        kept = make(callbacks_of(lib))
        fitted.append((model, model.fit(callbacks=kept, **arguments), kept))
    (theirs, expected, _), (ours, got, _) = fitted
    assert got.epoch == expected.epoch
    assert list(got.history) == list(expected.history)
    for name, values in got.history.items():
        assert_close(np.array(values), np.array(expected.history[name]), ulps=ULPS, what=name)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        assert_close(a, b, ulps=ULPS, what="weights")
    return fitted


@pytest.fixture(autouse=True)
def _float64():
    with library_dtype("float64"):
        yield


@pytest.mark.parametrize("monitor", ["val_loss", "mae", "val_mae"])
@pytest.mark.parametrize("restore", [False, True])
def test_early_stopping(monitor, restore, rng):
    """A step so large that the loss soon rises."""

    def make(library):
        return [
            library.EarlyStopping(monitor, patience=2, min_delta=1e-3, restore_best_weights=restore)
        ]

    *_, (_, history, (stopper,)) = fit_both(make, rng, "Adam", 0.3, epochs=40)
    assert 2 < len(history.epoch) < 40
    assert stopper.stopped_epoch == history.epoch[-1]


def test_reduce_lr_on_plateau(rng):
    def make(library):
        return [library.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=0.2)]

    *_, (model, history, _) = fit_both(make, rng, "Adam", 0.3, epochs=12)
    rates = history.history["learning_rate"]
    assert len(set(rates)) > 3
    assert model.optimizer.learning_rate <= rates[-1]


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "RMSprop"])
def test_learning_rate_scheduler(optimizer, rng):
    def make(library):
        return [library.LearningRateScheduler(lambda epoch, lr: lr * 0.7 + 0.001 * epoch)]

    *_, (_, history, _) = fit_both(make, rng, optimizer, 0.05, epochs=5)
    assert len(set(history.history["learning_rate"])) == 5


def test_learning_rates_in_float32(rng, capsys):
    """Keras keeps a learning rate in floatx: what is printed and written down shows it."""
    with library_dtype("float32"):
        told = []
        for lib in (keras_library(), OURS):
            model = masked(lib)
            model.compile(lib.optimizers.SGD(0.1), "mse")
            library = callbacks_of(lib)
            history = model.fit(
                callbacks=[
                    library.LearningRateScheduler(lambda _, rate: rate * 0.9, verbose=1),
                    library.ReduceLROnPlateau(
                        "loss", 0.1, 1, min_delta=100, verbose=1, min_lr=1e-3
                    ),
                ],
                **data(rng) | {"epochs": 5, "verbose": 0},
            )
            told.append((history.history["learning_rate"], capsys.readouterr().out))
    assert told[0] == told[1]


def test_csv_logger_writes_the_history(rng, tmp_path):
    def make(library):
        name = library.__name__.partition(".")[0]
        return [
            library.LearningRateScheduler(lambda epoch: 0.1 / (1 + epoch)),
            library.CSVLogger(tmp_path / f"{name}.csv", separator=";"),
        ]

    fitted = fit_both(make, rng, epochs=4, validation_freq=2)
    for (_, history, _), name in zip(fitted, ("keras", "lstm_ref"), strict=True):
        with (tmp_path / f"{name}.csv").open(newline="") as file:
            header, *rows = csv.reader(file, delimiter=";")
        assert header[:3] == ["epoch", "learning_rate", "loss"]
        assert [row[0] for row in rows] == list("0123")
        assert [float(row[2]) for row in rows] == history.history["loss"]
    lines = [(tmp_path / f"{n}.csv").read_text().splitlines() for n in ("keras", "lstm_ref")]
    assert lines[0][0] == lines[1][0]
    assert [line.count("NA") for line in lines[0]] == [line.count("NA") for line in lines[1]]


def spies(library: ModuleType, told: list[Any]) -> list[Any]:
    """Two callbacks that write down every moment, with the names in the logs."""
    runs = [f"on_{run}_{end}" for run in ("train", "test", "predict") for end in ("begin", "end")]
    batches = [
        f"on_{run}_batch_{end}" for run in ("train", "test", "predict") for end in ("begin", "end")
    ]
    moments = [*runs, *batches, "on_epoch_begin", "on_epoch_end"]

    def spy(name: str) -> Any:
        def moment(moment_name: str) -> Any:
            def method(_: Any, *at: Any, logs: Any = None) -> None:
                numbers = [n for n in at if isinstance(n, int)]
                logs = next((n for n in at if isinstance(n, dict)), logs)
                told.append((name, moment_name, numbers, sorted(logs or {})))

            return method

        return type("Spy", (library.Callback,), {m: moment(m) for m in moments})()

    return [spy("first"), spy("second")]


def test_the_order_of_calls(rng):
    def told_by(lib):
        told: list[Any] = []
        model = masked(lib)
        model.compile("sgd", "mse", metrics=["mae"])
        of_data = data(np.random.default_rng(3))
        x, y = of_data["x"], of_data["y"]
        options = {"batch_size": 3, "verbose": 0}
        model.fit(
            callbacks=spies(callbacks_of(lib), told),
            **of_data | options | {"epochs": 3, "validation_freq": 2, "initial_epoch": 1},
        )
        model.evaluate(x, y, callbacks=spies(callbacks_of(lib), told), **options)
        model.predict(x, callbacks=spies(callbacks_of(lib), told), **options)
        return told

    expected = told_by(keras_library())
    assert len(expected) > 60
    assert told_by(OURS) == expected


@pytest.mark.parametrize("at", ["batch", "epoch", "train"])
def test_stop_training(at, rng):
    """Set after a batch, it ends the epoch there, with its validation; Keras' rule."""

    def make(library):
        def stop(_self: Any, *number: Any, logs: Any = None) -> None:
            if at == "train" or number[0] == 1:
                _self.model.stop_training = True

        name = {"batch": "on_train_batch_end", "epoch": "on_epoch_end", "train": "on_train_begin"}
        return [type("Stopper", (library.Callback,), {name[at]: stop})()]

    *_, (_, history, _) = fit_both(make, rng, epochs=5, batch_size=2)
    assert history.epoch == ([0, 1] if at == "epoch" else [0])
    assert len(history.history["val_loss"]) == len(history.epoch)


# What is better, by what is watched.


def metrics_of_both() -> list[str]:
    """The classes of metrics here that Keras has, too."""
    return sorted(
        name
        for name, value in vars(lr.metrics).items()
        if isinstance(value, type)
        and issubclass(value, lr.metrics.Metric)
        and name not in ("Metric", "Mean")  # which compile does not take
    )


def what_auto_decides(lib: Library, metric: Any, sparse: bool = False) -> Any:
    """Whether 1 is better than 2."""
    library = callbacks_of(lib)
    head = lib.layers.Dense(2, activation="softmax")
    model = lib.models.Sequential([lib.layers.Input((3,)), head])
    loss = "sparse_categorical_crossentropy" if sparse else "categorical_crossentropy"
    model.compile("sgd", loss, metrics=[metric])
    x, y = np.ones((4, 3)), np.array([0, 1, 1, 0])
    history = model.fit(x, y if sparse else np.eye(2)[y], verbose=0).history
    name = next(name for name in history if name != "loss")
    watching = library.EarlyStopping(f"val_{name}")
    watching.set_model(model)
    try:
        watching._set_monitor_op()
    except ValueError:
        return "nobody knows"
    return bool(watching.monitor_op(1.0, 2.0))


@pytest.mark.parametrize("metric", metrics_of_both())
def test_what_auto_decides(metric):
    """For every metric of ours."""
    with library_dtype("float32"):  # Keras has no SparseTopKCategoricalAccuracy in float64
        decided = [
            what_auto_decides(lib, getattr(lib.metrics, metric)(), metric.startswith("Sparse"))
            for lib in (keras_library(), OURS)
        ]
    assert decided[0] == decided[1]


@pytest.mark.parametrize("metric", ["accuracy", "acc", "mse", "function"])
def test_what_auto_decides_by_name(metric):
    def function(y_true, y_pred):
        return (y_true - y_pred) ** 2

    given = function if metric == "function" else metric
    decided = [what_auto_decides(lib, given) for lib in (keras_library(), OURS)]
    assert decided[0] == decided[1] == {"mse": True, "function": "nobody knows"}.get(metric, False)


@pytest.mark.parametrize("better", ["up", "down", None])
def test_a_metric_of_ones_own_may_say_what_is_better(better):
    class Own(lr.metrics.Metric):
        direction = better

        def reset_state(self):
            self.seen = 0

        def add(self, y_true, y_pred, weight, mask, logits=None):
            self.seen += len(y_pred)

        def result(self):
            return self.seen

    decided = {"up": False, "down": True, None: "nobody knows"}[better]
    assert what_auto_decides(OURS, Own("own")) == decided


# Files.


@pytest.mark.parametrize("weights_only", [False, True])
def test_checkpoints_hold_the_model_of_their_epoch(weights_only, rng, tmp_path):
    model, seen = masked(OURS), []
    model.compile("adam", "mse", metrics=["mae"])
    suffix = ".weights.npz" if weights_only else ".npz"
    pattern = str(tmp_path / "new" / "folder" / ("{epoch:02d}-{val_loss:.4f}" + suffix))
    history = model.fit(
        callbacks=[
            lstm_ref.callbacks.LambdaCallback(
                on_epoch_end=lambda *_: seen.append(model.get_weights())
            ),
            lstm_ref.callbacks.ModelCheckpoint(pattern, save_weights_only=weights_only),
        ],
        **data(rng) | {"epochs": 3, "verbose": 0},
    ).history
    other = masked(OURS)
    for epoch, weights in enumerate(seen):
        path = pattern.format(epoch=epoch + 1, val_loss=history["val_loss"][epoch])
        if weights_only:
            other.load_weights(path)
        else:
            other = lr.load_model(path)
        for a, b in zip(other.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(a, b)
    assert len(list((tmp_path / "new" / "folder").iterdir())) == 3


def test_the_best_within_epochs(rng, tmp_path):
    """Keras forgets to decide what is better before the first epoch has ended."""
    model, losses = masked(OURS), []
    model.compile("sgd", "mse")
    path = str(tmp_path / "{epoch}-{batch}.npz")
    checkpoint = lstm_ref.callbacks.ModelCheckpoint(path, "loss", save_best_only=True, save_freq=2)
    told = lstm_ref.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: losses.append((batch + 1, logs["loss"]))
    )
    model.fit(
        callbacks=[told, checkpoint], **data(rng) | {"epochs": 4, "batch_size": 3, "verbose": 0}
    )
    best, expected = np.inf, set()
    for n, (batch, loss) in enumerate(losses):
        if n % 2 and loss < best:
            best = loss
            expected.add(f"{n // 3 + 1}-{batch}.npz")
    assert {file.name for file in tmp_path.iterdir()} == expected
    assert 0 < len(expected) < 6


@pytest.mark.parametrize(
    ("path", "weights_only", "needed"),
    [
        ("model.keras", False, r"must end in \.npz"),
        ("model.h5", False, r"must end in \.npz"),
        ("model", False, r"must end in \.npz"),
        ("model.npz", True, r"save_weights_only=True.*must end in \.weights\.npz"),
        ("model.weights.h5", True, r"must end in \.weights\.npz"),
    ],
)
def test_a_suffix_is_refused_before_training(path, weights_only, needed):
    with pytest.raises(lr.UnsupportedError, match=needed):
        lstm_ref.callbacks.ModelCheckpoint(path, save_weights_only=weights_only)


@pytest.mark.parametrize("save_freq", ["batch", 0, -1, 1.5, True, False, None])
def test_how_often_files_are_written(save_freq, tmp_path):
    for make in (lstm_ref.callbacks.ModelCheckpoint, lstm_ref.callbacks.BackupAndRestore):
        with pytest.raises(ValueError, match="'epoch' is needed, or a positive whole number"):
            make(tmp_path / "a.npz", save_freq=save_freq)


@pytest.mark.parametrize("path", ["{val_los}.npz", "{}.npz", "{batch}.npz"])
def test_a_field_of_the_name_that_is_not_there(path, rng, tmp_path):
    model = masked(OURS)
    model.compile("sgd", "mse")
    checkpoint = lstm_ref.callbacks.ModelCheckpoint(tmp_path / path)
    with pytest.raises(KeyError, match="there are epoch, loss, val_loss"):
        model.fit(callbacks=[checkpoint], **data(rng) | {"verbose": 0})


def test_a_folder_where_the_file_should_be(rng, tmp_path):
    (tmp_path / "model.npz").mkdir()
    model = masked(OURS)
    model.compile("sgd", "mse")
    with pytest.raises(OSError, match=r"model\.npz"):
        model.fit(
            callbacks=[lstm_ref.callbacks.ModelCheckpoint(tmp_path / "model.npz")],
            **data(rng) | {"verbose": 0},
        )


# What costs nothing, and what is refused.


def test_callbacks_that_do_nothing_are_not_called():
    calls = lstm_ref.callbacks.CallbackList(
        [
            lstm_ref.callbacks.Callback(),
            lstm_ref.callbacks.EarlyStopping(),
            lstm_ref.callbacks.ModelCheckpoint("model.npz"),
            lstm_ref.callbacks.BackupAndRestore("backup"),
            lstm_ref.callbacks.LambdaCallback(on_test_batch_end=print),
        ],
        add_history=True,
    )
    called = {name for name, moment in vars(calls).items() if getattr(moment, "called", False)}
    of_epochs = {"on_train_begin", "on_epoch_begin", "on_epoch_end", "on_train_end"}
    assert called == of_epochs | {"on_test_batch_end"}
    old = lstm_ref.callbacks.CallbackList(lstm_ref.callbacks.TerminateOnNaN())
    assert {n for n, m in vars(old).items() if getattr(m, "called", False)} == {
        "on_batch_end",
        "on_train_batch_end",
    }


@pytest.mark.parametrize(
    ("callbacks", "sentence"),
    [
        (lstm_ref.callbacks.EarlyStopping, r"the class was given: call it, as in EarlyStopping\("),
        ([[print]], r"callbacks holds <built-in function print>, and needs objects of a class"),
        ("EarlyStopping", "callbacks holds 'EarlyStopping'"),
    ],
)
def test_what_is_no_callback(callbacks, sentence):
    with pytest.raises(TypeError, match=sentence):
        lstm_ref.callbacks.CallbackList(callbacks)


def test_callbacks_of_keras_that_are_not_here():
    keras = require("keras")
    ours = set(lstm_ref.callbacks.__all__)
    theirs = {name for name in dir(keras.callbacks) if name[0].isupper()} | {"MonitorCallback"}
    for name in sorted(theirs - ours):
        with pytest.raises(lr.UnsupportedError, match=f"the callback {name} is not supported: "):
            getattr(lstm_ref.callbacks, name)
    assert ours <= theirs
    assert set(lstm_ref.callbacks.REFUSED) == theirs - ours
    with pytest.raises(AttributeError, match="has no attribute 'EarlyStoping'"):
        lstm_ref.callbacks.EarlyStoping  # noqa: B018
    with pytest.raises(lr.UnsupportedError, match="draw their progress themselves"):
        lstm_ref.callbacks.CallbackList(add_progbar=True)
