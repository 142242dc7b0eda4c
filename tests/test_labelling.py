"""Real data, labelled frame by frame: the accuracy that the documentation states, and its floor."""

import numpy as np
import pytest

import lstm_ref as lr
from lstm_ref.layers import LSTM, Bidirectional, Dense, Dropout, Input, Masking
from lstm_ref.sequences import japanese_vowels, pad_sequences

T = 29


def rectangle(recordings):
    x = pad_sequences(recordings.frames, maxlen=T, padding="post", dtype="float32")
    real = lr.mask_from_lengths([len(frames) for frames in recordings.frames], T)
    return x, real, np.repeat(recordings.speakers[:, None], T, axis=1)


@pytest.fixture(scope="module")
def data():
    train, test = japanese_vowels()
    x, real, y = rectangle(train)
    x_test, real_test, y_test = rectangle(test)
    mean, std = x[real].mean(axis=0), x[real].std(axis=0)
    x[real] = (x[real] - mean) / std
    x_test[real_test] = (x_test[real_test] - mean) / std
    return x, y, x_test, real_test, y_test, test.speakers


def both_ends():
    return [Bidirectional(LSTM(32, return_sequences=True, dropout=0.3)), Dropout(0.5)]


def forward_only():
    return [LSTM(64, return_sequences=True, dropout=0.3)]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("layers", "epochs", "frames", "recordings"),
    [(both_ends, 40, 0.97, 0.97), (forward_only, 30, 0.91, 0.92)],
    ids=["both ends", "forward only"],
)
def test_speakers_are_named_at_every_frame(layers, epochs, frames, recordings, seed, data):
    x, y, x_test, real, y_test, speakers = data
    lr.set_seed(seed)
    model = lr.Sequential([Input((T, 12)), Masking(), *layers(), Dense(9, activation="softmax")])
    model.compile(
        lr.optimizers.Adam(0.005), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    model.fit(x, y, epochs=epochs, verbose=0)

    _, per_frame = model.evaluate(x_test, y_test, verbose=0)
    p = model.predict(x_test, verbose=0)
    assert per_frame == pytest.approx(np.mean((p.argmax(-1) == y_test)[real]), rel=1e-6)
    votes = np.sum(np.log(p), axis=1, where=real[..., None])
    per_recording = np.mean(votes.argmax(axis=1) == speakers)
    assert per_frame > frames
    assert per_recording > recordings


def test_padding_is_in_neither_loss_nor_accuracy(data):
    x, y, *_ = data
    lr.set_seed(0)
    model = lr.Sequential([Input((T, 12)), Masking(), *forward_only(), Dense(9, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=1, verbose=0)
    judged = model.evaluate(x, y, verbose=0)
    nonsense = np.where(x.any(axis=-1), y, 8 - y)
    assert model.evaluate(x, nonsense, verbose=0) == judged
