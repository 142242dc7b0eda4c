"""A training that goes on from a file is the one that never stopped, to the last bit; and what an
interrupt leaves behind."""

import signal
import threading

import numpy as np
import pytest

import lstm_ref as lr
from lstm_ref.callbacks import Callback, ModelCheckpoint
from lstm_ref.errors import ModelFormatError, ShapeError, UnsupportedError
from lstm_ref.layers import LSTM, Bidirectional, Dense, Dropout, Input, Masking
from lstm_ref.optimizers import SGD, Adam, Nadam, RMSprop
from lstm_ref.optimizers.schedules import ExponentialDecay
from lstm_ref.utils import PyDataset

OPTIMIZERS = {
    "sgd": lambda: "sgd",
    "momentum": lambda: SGD(0.1, momentum=0.9, nesterov=True),
    "adam": lambda: Adam(0.02),
    "amsgrad": lambda: Adam(0.02, amsgrad=True),
    "nadam": lambda: Nadam(0.02),
    "rmsprop": lambda: RMSprop(0.02, momentum=0.5, centered=True),
    "schedule": lambda: Adam(ExponentialDecay(0.02, 3, 0.8)),
    "accumulation": lambda: Adam(0.02, gradient_accumulation_steps=4),
    "average": lambda: SGD(0.1, use_ema=True, ema_overwrite_frequency=5),
}


def build(optimizer, dtype="float32"):
    lr.set_seed(3)
    lr.clear_session()
    options = {"dtype": dtype}
    model = lr.Sequential(
        [
            Input((5, 2)),
            Masking(**options),
            Bidirectional(
                LSTM(4, return_sequences=True, dropout=0.2, recurrent_dropout=0.3, **options),
                **options,
            ),
            Dropout(0.4, **options),
            LSTM(3, return_sequences=True, seed=5, dropout=0.1, **options),
            Dense(2, **options),
        ]
    )
    model.compile(OPTIMIZERS[optimizer](), "mse", metrics=["mae"])
    return model


@pytest.fixture
def data(rng):
    x = rng.normal(size=(10, 5, 2)).astype(np.float32)
    x[4:7, 3:] = 0
    return x, rng.normal(size=(10, 5, 2)).astype(np.float32)


def assert_same(a, b):
    for (name, one), other in zip(a.named_weights().items(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other, err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_saved_training_goes_on_to_the_same_bits(optimizer, dtype, data, tmp_path):
    fit = {"batch_size": 3, "verbose": 0}
    whole = build(optimizer, dtype)
    each = ModelCheckpoint(tmp_path / "{epoch}.npz")
    expected = whole.fit(*data, epochs=5, callbacks=[each], **fit).history

    lr.set_seed(99)  # another process has other random numbers
    again = lr.load_model(tmp_path / "2.npz")
    second = again.fit(*data, epochs=5, initial_epoch=2, **fit).history
    first = {name: values[:2] for name, values in expected.items()}

    assert {name: first[name] + second[name] for name in first} == expected
    assert_same(again, whole)
    assert again.optimizer.iterations == whole.optimizer.iterations


def test_without_what_training_needs_it_goes_on_otherwise(data, tmp_path):
    model = build("adam")
    model.fit(*data, epochs=2, batch_size=3, verbose=0)
    model.save(tmp_path / "all.npz")
    model.save(tmp_path / "small.npz", include_optimizer=False)
    sizes = [(tmp_path / name).stat().st_size for name in ("all.npz", "small.npz")]
    assert sizes[0] > 2 * sizes[1]
    ends = []
    for name in ("all.npz", "small.npz"):
        again = lr.load_model(tmp_path / name)
        assert_same(again, model)
        assert again.optimizer.iterations == (8 if name == "all.npz" else 0)
        again.fit(*data, epochs=3, initial_epoch=2, batch_size=3, verbose=0)
        ends.append(again.get_weights())
    assert any((a != b).any() for a, b in zip(*ends, strict=True))


def test_a_stateful_training_is_kept_with_its_states(rng, data):
    x, y = rng.normal(size=(6, 4, 2)), rng.normal(size=(6, 4, 1))

    def stateful():
        lr.set_seed(1)
        lr.clear_session()
        lstm = LSTM(3, return_sequences=True, stateful=True)
        model = lr.Sequential([Input(batch_shape=(2, 4, 2)), lstm, Dense(1)])
        model.compile("adam", "mse")
        return model

    fit = {"batch_size": 2, "shuffle": False, "verbose": 0}
    whole = stateful()
    whole.fit(x, y, epochs=4, **fit)
    first, second = stateful(), stateful()
    first.fit(x, y, epochs=2, **fit)
    second.set_weights(first.get_weights())
    second.restore_training_state(*first.training_state())
    second.fit(x, y, epochs=4, initial_epoch=2, **fit)
    assert_same(second, whole)
    assert "states/lstm/h" not in first.to_record().training.arrays  # as in Keras


def test_another_fit_shuffles_anew_and_a_later_epoch_as_it_would_have_been():
    model = build("sgd")
    shuffled = []
    for arguments in ({"epochs": 2}, {"epochs": 2}, {"epochs": 2, "initial_epoch": 1}):
        shuffled.append([])
        watch = RowsSeen(shuffled[-1])
        model.fit(watch, **arguments, verbose=0)
    assert shuffled[0] != shuffled[1]
    assert shuffled[2] == shuffled[1][5:]


class RowsSeen(PyDataset):
    """Batches of one row; notes down which were asked for."""

    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def __len__(self):
        return 5

    def __getitem__(self, n):
        self.seen.append(n)
        return np.zeros((1, 5, 2)), np.zeros((1, 5, 2))


def test_averages_that_were_never_made_replace_no_weight(data):
    model = build("average")
    before = model.get_weights()
    model.optimizer.build(model.trainable_params())
    model.fit(*data, epochs=0, verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_after_nan_the_states_of_stateful_layers_are_those_before(rng):
    lstm = LSTM(3, return_sequences=True, stateful=True)
    model = lr.Sequential([Input(batch_shape=(2, 4, 2)), lstm, Dense(1)])
    model.compile("adam", "mse")
    x, y = rng.normal(size=(2, 4, 2)), rng.normal(size=(2, 4, 1))
    model.fit(x, y, verbose=0)
    states, weights = model.layer_states(), model.get_weights()
    broken = x.copy()
    broken[1, 2, 0] = np.nan
    with pytest.raises(lr.NonFiniteError, match="step 2, row 1"):
        model.fit(broken, y, verbose=0)
    for (name, a), b in zip(states.items(), model.layer_states().values(), strict=True):
        np.testing.assert_array_equal(a, b, err_msg=name)
    for a, b in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    model.fit(x, y, verbose=0)


# Weights alone.


def test_weights_alone_come_back_into_a_model_with_other_names(data, tmp_path):
    model = build("adam")
    model.fit(*data, epochs=1, verbose=0)
    model.save_weights(tmp_path / "model.weights.npz")
    other = lr.Sequential([Input((5, 2)), *build("sgd").layers])
    other.load_weights(tmp_path / "model.weights.npz")
    assert_same(other, model)
    named = lr.Sequential([Input((5, 2)), LSTM(4, name="a"), Dense(2, name="b")])
    named.save_weights(tmp_path / "two.npz")
    again = lr.Sequential([Input((5, 2)), LSTM(4), Dense(2)])
    again.load_weights(tmp_path / "two.npz")
    assert_same(again, named)


def test_what_is_wrong_with_a_file_of_weights_is_said(tmp_path):
    model = lr.Sequential([Input((5, 2)), LSTM(4, name="a"), Dense(2, name="b")])
    model.save_weights(tmp_path / "w.npz")
    with pytest.raises(UnsupportedError, match=r"holds weights alone.*load_weights"):
        lr.load_model(tmp_path / "w.npz")
    with pytest.raises(FileExistsError, match="a file already"):
        model.save_weights(tmp_path / "w.npz", overwrite=False)
    wider = lr.Sequential([Input((5, 2)), LSTM(5, name="a"), Dense(2, name="b")])
    with pytest.raises(ShapeError, match=r"has a/kernel of shape \(2, 16\), where .*\(2, 20\)"):
        wider.load_weights(tmp_path / "w.npz")
    longer = lr.Sequential([Input((5, 2)), LSTM(4, name="a"), Dense(2), Dense(3, name="c")])
    with pytest.raises(ShapeError, match=r"has no more weights, where .* has c/kernel"):
        longer.load_weights(tmp_path / "w.npz")
    with pytest.raises(ShapeError, match=r"has b/kernel of shape .* has no more weights"):
        lr.Sequential([Input((5, 2)), LSTM(4)]).load_weights(tmp_path / "w.npz")


# Functions of one's own.


def fourth(y_true, y_pred):
    return np.mean((y_pred - y_true) ** 4, axis=-1)


def d_fourth(y_true, y_pred):
    return 4 * (y_pred - y_true) ** 3 / y_pred.shape[-1]


def bias(y_true, y_pred):
    return np.mean(y_pred - y_true, axis=-1)


def test_functions_of_ones_own_are_given_again_by_name(data, tmp_path):
    own = {"fourth": (fourth, d_fourth), "bias": bias}

    def compiled():
        model = build("sgd")
        model.compile("adam", own["fourth"], metrics=["mae", bias])
        return model

    whole = compiled()
    whole.fit(*data, epochs=4, batch_size=3, verbose=0)
    model = compiled()
    model.fit(*data, epochs=2, batch_size=3, verbose=0)
    model.save(tmp_path / "own.npz")
    with pytest.raises(UnsupportedError, match=r"with 'fourth'.*custom_objects=\{'fourth'"):
        lr.load_model(tmp_path / "own.npz")
    with pytest.raises(UnsupportedError, match="'bias'"):
        lr.load_model(tmp_path / "own.npz", {"fourth": own["fourth"]})
    again = lr.load_model(tmp_path / "own.npz", own)
    again.fit(*data, epochs=4, initial_epoch=2, batch_size=3, verbose=0)
    assert_same(again, whole)
    alone = lr.load_model(tmp_path / "own.npz", compile=False)
    assert alone.optimizer is None
    np.testing.assert_array_equal(*(m.predict(data[0], verbose=0) for m in (alone, model)))
    with pytest.raises(UnsupportedError, match="nothing in a file is ever executed"):
        lr.load_model(tmp_path / "own.npz", safe_mode=False)


# A state that does not belong here.


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays, numbers: numbers.pop("dropout"),
        lambda arrays, numbers: numbers.update(more=1),
        lambda arrays, numbers: numbers.update(shuffle_seed=-1),
        lambda arrays, numbers: numbers.update(shuffle_seed="x"),
        lambda arrays, numbers: numbers["dropout"].pop("dropout"),
        lambda arrays, numbers: numbers["optimizer"].clear(),
        lambda arrays, numbers: arrays.update(other=np.zeros(2)),
        lambda arrays, numbers: arrays.popitem(),
        lambda arrays, numbers: arrays.update({"optimizer/velocity/dense/bias": np.zeros(7)}),
        lambda arrays, numbers: arrays.update({"states/lstm/h": np.zeros(7)}),
    ],
)
def test_a_state_that_does_not_belong_to_the_model_is_refused(change, data, tmp_path):
    model = build("adam")
    model.fit(*data, epochs=1, verbose=0)
    record = model.to_record()
    change(record.training.arrays, record.training.numbers)
    with pytest.raises((ModelFormatError, ShapeError)):
        lr.Sequential.from_record(record)


# Interrupts.


def test_ctrl_c_leaves_the_last_whole_step_and_the_finished_epochs(data):
    class Interrupts(Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.optimizer.iterations == 6:
                signal.raise_signal(signal.SIGINT)

    assert threading.current_thread() is threading.main_thread()
    model = build("adam")
    # Python leaves the signal ignored where its shell did, as for a job in the background.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            model.fit(*data, epochs=9, batch_size=3, callbacks=[Interrupts()], verbose=0)
    finally:
        signal.signal(signal.SIGINT, before)
    assert model.history.epoch == [0]
    assert len(model.history.history["loss"]) == 1
    assert model.optimizer.iterations == 6
    assert np.isfinite(model.predict(data[0], verbose=0)).all()
    model.fit(*data, epochs=2, initial_epoch=1, batch_size=3, verbose=0)


@pytest.mark.parametrize("at", ["first weight", "between", "optimizer"])
def test_an_interrupt_within_a_step_leaves_all_of_it(at, data, monkeypatch):
    """The weights of some layers being new and those of others old is what must not be."""
    whole = build("adam")
    whole.fit(*data, epochs=1, batch_size=10, verbose=0)
    model = build("adam")
    assign, accept, calls = model.assign_params, model.optimizer.accept, []

    def interrupted_assign(weights):
        calls.append("assign")
        if len(calls) == 1 and at != "optimizer":
            some = dict(list(weights.items())[: 3 if at == "between" else 1])
            assign(some)
            raise KeyboardInterrupt
        assign(weights)

    def interrupted_accept(step):
        calls.append("accept")
        if calls.count("accept") == 1 and at == "optimizer":
            raise KeyboardInterrupt
        accept(step)

    monkeypatch.setattr(model, "assign_params", interrupted_assign)
    monkeypatch.setattr(model.optimizer, "accept", interrupted_accept)
    with pytest.raises(KeyboardInterrupt):
        model.fit(*data, epochs=1, batch_size=10, verbose=0)
    assert_same(model, whole)
    assert model.optimizer.iterations == whole.optimizer.iterations == 1
