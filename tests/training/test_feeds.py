"""Where batches come from: arrays, datasets of batches, generators; epochs of so many steps."""

import itertools
import warnings

import numpy as np
import pytest

import lstm_ref as lr
from lstm_ref.errors import ShapeError, UnsupportedError
from lstm_ref.layers import LSTM, Dense, Input
from lstm_ref.training.batches import Data
from lstm_ref.training.feeds import ArrayFeed, DatasetFeed, Epochs, Feed, IteratorFeed
from lstm_ref.utils import PyDataset
from tests.keras_peer import keras_library, library_dtype, twin_models
from tests.layers.whole_models import assert_close
from tests.peers import require


def feed_of(rows: int, batch_size: int = 2) -> ArrayFeed:
    x = np.arange(rows)[:, None]
    return ArrayFeed(Data(x, 10 * x), batch_size)


def rows_of(epoch) -> list[list[int]]:
    return [batch.x[:, 0].tolist() for _, batch in epoch]


def batches_of(epoch) -> list:
    return [batch for _, batch in epoch]


def epochs_of(feed: Feed, steps: int | None = None, seed: int | None = None) -> Epochs:
    epochs = Epochs(feed, steps)
    epochs.seed = seed
    return epochs


# Epochs.


def test_an_epoch_is_one_pass_and_the_order_is_new_in_each():
    epochs = epochs_of(feed_of(7), seed=5)
    first, second = rows_of(epochs.epoch(0)), rows_of(epochs.epoch(1))
    assert epochs.steps == 4
    assert [len(batch) for batch in first] == [2, 2, 2, 1]
    assert sorted(itertools.chain(*first)) == sorted(itertools.chain(*second)) == list(range(7))
    assert first != second


def test_an_epoch_depends_on_the_seed_and_its_number_alone():
    one, other = (epochs_of(feed_of(9), seed=5) for _ in range(2))
    first = [rows_of(one.epoch(n)) for n in range(4)]
    assert rows_of(other.epoch(2)) == first[2]
    assert rows_of(other.epoch(2, done=3)) == first[2][3:]
    assert rows_of(epochs_of(feed_of(9), seed=6).epoch(2)) != first[2]


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
def test_steps_go_on_where_the_last_epoch_ended_as_in_keras(steps):
    require("keras")
    from keras.src.trainers.epoch_iterator import EpochIterator

    x = np.arange(10)[:, None]
    theirs = EpochIterator(x, 10 * x, batch_size=2, steps_per_epoch=steps)
    ours = epochs_of(feed_of(10), steps)
    for number in range(7):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = [data[0][0][:, 0].astype(int).tolist() for _, _, data in theirs]
            assert rows_of(ours.epoch(number)) == expected


def test_a_pass_that_ends_within_an_epoch_ends_it_with_a_warning():
    epochs = epochs_of(feed_of(6), steps=2, seed=3)
    first = rows_of(epochs.epoch(0))
    with pytest.warns(UserWarning, match=r"3 batches, after 3 of them.*steps_per_epoch"):
        second = rows_of(epochs.epoch(1))
    assert sorted(itertools.chain(*first, *second)) == list(range(6))
    with pytest.warns(UserWarning, match="ran out"):
        again = rows_of(epochs.epoch(1))
    assert again == second  # an epoch can be dealt again


def test_a_generator_is_asked_for_one_batch_at_a_time():
    asked = []

    def forever():
        for n in itertools.count():
            asked.append(n)
            yield n

    epochs = epochs_of(IteratorFeed(forever(), lambda n: n), steps=3)
    assert epochs.steps == 3
    running = epochs.epoch(0)
    assert next(running) == (0, 0)
    assert asked == [0]
    assert list(running) == [(1, 1), (2, 2)]
    assert batches_of(epochs.epoch(1)) == [3, 4, 5]


def test_an_iterator_is_used_up_and_an_iterable_is_not():
    once, again = (epochs_of(IteratorFeed(b, lambda n: n)) for b in (iter("ab"), _Iterable()))
    assert once.steps is None
    assert [batches_of(once.epoch(n)) for n in range(2)] == [["a", "b"], []]
    assert [batches_of(again.epoch(n)) for n in range(2)] == [[1, 2], [1, 2]]
    short = epochs_of(IteratorFeed(iter("ab"), lambda n: n), steps=3)
    with pytest.warns(UserWarning, match="after 2 of them"):
        assert batches_of(short.epoch(0)) == ["a", "b"]


class _Iterable:
    def __iter__(self):
        return iter([1, 2])


class Numbered(PyDataset):
    """Batch n of x and y; notes down what it is told."""

    def __init__(self, x, y, batch_size, **options):
        super().__init__(**options)
        self.x, self.y, self.batch_size, self.told = x, y, batch_size, []

    def __len__(self):
        return -(-len(self.x) // self.batch_size)

    def __getitem__(self, n):
        part = slice(n * self.batch_size, (n + 1) * self.batch_size)
        return self.x[part], self.y[part]

    def on_epoch_begin(self):
        self.told.append("begin")

    def on_epoch_end(self):
        self.told.append("end")


def test_a_dataset_is_read_by_number_and_told_of_epochs():
    x = np.arange(6)[:, None]
    dataset = Numbered(x, 10 * x, 2)
    feed = DatasetFeed(dataset, lambda pair: pair[0][:, 0].tolist())
    assert batches_of(epochs_of(feed).epoch(0)) == [[0, 1], [2, 3], [4, 5]]
    assert dataset.told == ["begin", "end"]
    shuffled = [batches_of(epochs_of(feed, seed=1).epoch(n)) for n in range(9)]
    assert all(sorted(order) == [[0, 1], [2, 3], [4, 5]] for order in shuffled)
    assert len({str(order) for order in shuffled}) > 1
    with pytest.raises(UnsupportedError, match="in the thread"):
        Numbered(x, x, 2, workers=4)


# Through fit, evaluate and predict.


def build(lib):
    return lib.models.Sequential(
        [lib.layers.Input((5, 3)), lib.layers.LSTM(4, return_sequences=True), lib.layers.Dense(2)]
    )


def data(rng, rows=10):
    return rng.normal(size=(rows, 5, 3)), rng.normal(size=(rows, 5, 2)), rng.random((rows, 5))


def ours(**compiled):
    model = lr.Sequential(
        [Input((5, 3)), LSTM(4, return_sequences=True, dtype="float64"), Dense(2, dtype="float64")]
    )
    weights = np.random.default_rng(1)
    model.set_weights([weights.normal(size=w.shape) * 0.3 for w in model.get_weights()])
    model.compile("sgd", "mse", metrics=["mae"], **compiled)
    return model


def batches(x, y, weight=None, size=4):
    for n in range(0, len(x), size):
        part = slice(n, n + size)
        yield (x[part], y[part]) if weight is None else (x[part], y[part], weight[part])


@pytest.mark.parametrize("source", ["generator", "iterable", "dataset", "memmap"])
def test_every_source_trains_as_arrays_do(source, rng, tmp_path):
    x, y, weight = data(rng)
    expected = ours()
    history = expected.fit(x, y, 4, epochs=2, shuffle=False, sample_weight=weight, verbose=0)
    model = ours()
    if source == "memmap":
        given = [on_disk(tmp_path / name, a) for name, a in zip("xyw", (x, y, weight), strict=True)]
        arguments = {"x": given[0], "y": given[1], "sample_weight": given[2], "batch_size": 4}
    elif source == "dataset":
        arguments = {"x": _Weighted(x, y, weight)}
    elif source == "iterable":
        arguments = {"x": _Again(x, y, weight)}
    else:
        forever = itertools.chain.from_iterable(batches(x, y, weight) for _ in itertools.count())
        arguments = {"x": forever, "steps_per_epoch": 3}
    got = model.fit(**arguments, epochs=2, shuffle=False, verbose=0)
    assert got.history == history.history
    for a, b in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    judged = expected.evaluate(x, y, 4, sample_weight=weight, verbose=0)
    assert model.evaluate(batches(x, y, weight), verbose=0) == judged
    predicted = model.predict(batches(x, y), verbose=0)
    np.testing.assert_array_equal(predicted, expected.predict(x, 4, verbose=0))
    np.testing.assert_array_equal(model.predict(_Again(x), verbose=0), predicted)


class _Again:
    def __init__(self, x, y=None, weight=None):
        self.arrays = x, y, weight

    def __iter__(self):
        x, y, weight = self.arrays
        return iter(x[n : n + 4] for n in (0, 4, 8)) if y is None else batches(x, y, weight)


class _Weighted(PyDataset):
    def __init__(self, *arrays):
        super().__init__()
        self.batches = list(batches(*arrays))

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, n):
        return self.batches[n]


def on_disk(path, array, dtype=None):
    there = np.memmap(path, array.dtype if dtype is None else dtype, "w+", shape=array.shape)
    there[:] = array
    there.flush()
    return np.memmap(path, there.dtype, "r", shape=array.shape)


def test_an_array_on_the_disk_is_never_converted_as_a_whole(rng, tmp_path, monkeypatch):
    x, y, _ = data(rng, rows=400)
    read = []
    prepare = lr.Sequential.prepare

    def watched(self, x, batch_size):
        read.append(len(x))
        return prepare(self, x, batch_size)

    monkeypatch.setattr(lr.Sequential, "prepare", watched)
    model = ours()
    shorts = on_disk(tmp_path / "x", (1000 * x), np.int16), on_disk(tmp_path / "y", y, np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(*shorts, batch_size=8, epochs=2, verbose=0, validation_split=0.2)
        model.evaluate(*shorts, batch_size=8, verbose=0)
        predicted = model.predict(shorts[0], batch_size=8, verbose=0)
    assert max(read) == 100  # to see whether they are padded
    assert sorted(set(read)) == [8, 100]
    whole = model.predict((1000 * x).astype(np.int16), batch_size=8, verbose=0)
    np.testing.assert_array_equal(predicted, whole)


def test_fit_with_steps_equals_keras(rng):
    with library_dtype("float64"):
        x, y, weight = data(rng)
        theirs, model = twin_models(build, rng, x.shape)
        for each, lib in ((theirs, keras_library()), (model, None)):
            each.compile(lib.optimizers.SGD(0.1) if lib else "sgd", "mse", weighted_metrics=["mae"])
        model.optimizer.learning_rate = 0.1
        fit = {"shuffle": False, "epochs": 3, "steps_per_epoch": 2, "verbose": 0}
        fit["sample_weight"] = weight
        held_out = {"validation_data": (x, y), "validation_steps": 2}
        split = {"validation_split": 0.4, "validation_steps": 2}
        for arguments in ({"batch_size": 2}, held_out, split):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # both warn that the data run out
                histories = [m.fit(x, y, **fit, **arguments).history for m in (theirs, model)]
            assert sorted(histories[0]) == sorted(histories[1])
            for name, values in histories[0].items():
                assert_close(np.array(histories[1][name]), np.array(values), ulps=50, what=name)


def test_what_does_not_belong_beside_batches_is_refused(rng):
    x, y, weight = data(rng)
    model = ours()
    for arguments, sentence in (
        ({"y": y}, r"fit\(y=...\): x gives batches, so there is no y beside it"),
        ({"sample_weight": weight}, r"fit\(sample_weight=...\)"),
        ({"batch_size": 4}, r"fit\(batch_size=...\).*as they are"),
        ({"validation_split": 0.5}, "only arrays can be split; give validation_data"),
    ):
        with pytest.raises(UnsupportedError, match=sentence):
            model.fit(batches(x, y), **arguments)
    for item, sentence in (
        ((x, y, weight, 3), "has 4 parts"),
        ({"x": x}, "is a dict"),
    ):
        with pytest.raises(UnsupportedError, match=sentence):
            model.fit(iter([item]), verbose=0)
    on_disk = np.memmap(__file__, np.uint8, "r", shape=(4, 5, 3))
    with pytest.raises(ShapeError, match="as many rows as x"):
        model.fit(on_disk, y)
    with pytest.raises(ShapeError, match="as many rows as x"):
        model.fit(on_disk, 3.0)
    with pytest.raises(UnsupportedError, match="y is missing"):
        model.fit(on_disk)
    with pytest.raises(UnsupportedError, match="x is None"):
        model.predict(None)
    with pytest.raises(ShapeError, match="x is one number"):
        model.fit(3.0, 1.0)
    with pytest.raises(ShapeError, match="nested list"):
        model.predict([[1.0], [1.0, 2.0]], steps=1)
    with pytest.raises(UnsupportedError, match="defines no __len__"):
        model.fit(PyDataset())
    for wrong in ("0.2", float("nan"), 1.5, -0.1):
        with pytest.raises(ValueError, match="between 0 and 1"):
            model.fit(x, y, validation_split=wrong)
    with pytest.raises(ShapeError, match="both parts need one"):
        model.fit(x[:1], y[:1], validation_split=0.5)


def test_a_used_up_generator_ends_training_with_a_warning(rng):
    x, y, _ = data(rng)
    model = ours()
    with pytest.warns(UserWarning, match="gave no batch for this epoch"):
        history = model.fit(batches(x, y), epochs=3, verbose=0)
    assert len(history.history["loss"]) == 1
    with pytest.raises(ValueError, match="predict: there was no batch"):
        model.predict(iter([]), verbose=0)


def test_a_dataset_may_change_its_length_between_epochs(rng):
    x, y, _ = data(rng)

    class Shrinking(Numbered):
        def on_epoch_end(self):
            self.x, self.y = self.x[:-2], self.y[:-2]

    dataset = Shrinking(x, y, 2)
    seen = []
    watch = lr.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))
    ours().fit(dataset, epochs=3, callbacks=[watch], verbose=0)
    assert seen == [*range(5), *range(4), *range(3)]
    empty = Numbered(x[:0], y[:0], 2)
    with pytest.warns(UserWarning, match="gave no batch"):
        ours().fit(empty, verbose=0)


def test_a_model_that_a_generator_builds_trains_without_a_warning(rng):
    x, y, _ = data(rng)
    model = lr.Sequential([LSTM(4, return_sequences=True), Dense(2)])
    model.compile("sgd", "mse")
    before = ours().count_params()
    model.fit(batches(x, y), verbose=0)
    assert model.count_params() == before


def test_sequences_of_other_lengths_train_and_are_not_joined(rng):
    x, y, _ = data(rng, 4)
    model = lr.Sequential([Input((None, 3)), LSTM(4, return_sequences=True), Dense(2)])
    model.compile("sgd", "mse")
    parts = [(x, y), (x[:, :3], y[:, :3])]
    model.fit(iter(parts), verbose=0)
    with pytest.raises(ShapeError, match=r"different shapes.*predict_on_batch"):
        model.predict(iter(parts), verbose=0)


def test_a_used_up_validation_iterator_leaves_its_values_out(rng):
    x, y, _ = data(rng)
    with pytest.warns(UserWarning, match="validation_data: there was no batch"):
        history = ours().fit(x, y, epochs=2, validation_data=batches(x, y), verbose=0).history
    assert (len(history["loss"]), len(history["val_loss"])) == (2, 1)
    with pytest.raises(ValueError, match="evaluate: there was no batch"):
        ours().evaluate(iter([]), verbose=0)


def test_validation_from_batches_and_after_chosen_epochs(rng):
    x, y, _ = data(rng)
    model = ours()
    arguments = {"validation_data": _Again(x, y, np.ones(y.shape[:2])), "epochs": 4, "verbose": 0}
    history = model.fit(x, y, 4, **arguments, validation_freq=[1, 4]).history
    assert (len(history["loss"]), len(history["val_loss"])) == (4, 2)
    judged = model.evaluate(x, y, 4, verbose=0, return_dict=True)
    assert history["val_loss"][-1] == judged["loss"]
    for wrong in (0, 1.5, "epoch", True):
        with pytest.raises(ValueError, match="validation_freq"):
            model.fit(x, y, validation_data=(x, y), validation_freq=wrong, verbose=0)
