"""Three programs as a Keras user writes them, run with nothing but their imports changed.

Each is program text; the lines that import stand above it, once for Keras and once for lstm_ref.
Both are executed, from the same initial weights and with the rows in the same order, and must give
the same loss in every epoch and the same prediction at every time step.
"""

import re
import warnings
from typing import Any

import numpy as np
import pytest

from tests.keras_peer import assert_close, library_dtype, random_weights
from tests.peers import require

KERAS_IMPORTS = """
from tensorflow.keras.models import Sequential
from tensorflow.keras.layers import LSTM, Dense, Masking
from tensorflow.keras.preprocessing.sequence import pad_sequences
"""
OUR_IMPORTS = KERAS_IMPORTS.replace("tensorflow.keras", "lstm_ref")

ONE_VALUE = """
# One value in, one value out, at every time step.
X = np.random.rand(100, 10, 1)
y = np.random.rand(100, 10, 1)

model = Sequential()
model.add(LSTM(64, activation='relu', return_sequences=True, input_shape=(10, 1)))
model.add(Dense(1))
model.compile(optimizer='adam', loss='mse')
{begin}
history = model.fit(X, y, epochs=10, verbose=0{fit})
predictions = model.predict(X, verbose=0)
"""

SEVERAL_VALUES = """
# One value in, three values out, at every time step.
X = np.random.rand(50, 20, 1)
y = np.random.rand(50, 20, 3)

model = Sequential([
    LSTM(128, activation='tanh', return_sequences=True, input_shape=(20, 1)),
    Dense(3),
])
model.compile(optimizer='rmsprop', loss='mse')
{begin}
history = model.fit(X, y, epochs=20, verbose=0{fit})
predictions = model.predict(X, verbose=0)
"""

PADDED = """
# Sequences of several lengths, padded to one, and nothing said about it.
sequences = [[1, 2, 3], [4, 5], [6, 7, 8, 9, 10]]
X = pad_sequences(sequences, padding='post')
X = X.reshape((X.shape[0], X.shape[1], 1))
targets = [[2, 3, 4], [5, 6], [7, 8, 9, 10, 11]]
y = pad_sequences(targets, padding='post', value={label}).reshape((3, 5, 1))

model = Sequential()
model.add(LSTM(50, activation='relu', return_sequences=True, input_shape=(5, 1)))
model.add(Dense(1))
model.compile(optimizer='adam', loss='mse', metrics=['mae'])
{begin}
history = model.fit(X, y, epochs=20, verbose=0{fit})
predictions = model.predict(X, verbose=0)
"""

MASKED = PADDED.replace("nothing said about it", "the padding masked").replace(
    "LSTM(50, activation='relu', return_sequences=True, input_shape=(5, 1))",
    "Masking(mask_value=0.0, input_shape=(5, 1)))\n"
    "model.add(LSTM(50, activation='relu', return_sequences=True)",
)

PROGRAMS = {"one value": ONE_VALUE, "several values": SEVERAL_VALUES}
BEGIN = "model.set_weights(initial_weights(model))"

EPS = {"float32": 2.0**-23, "float64": 2.0**-52}
# In float32 two right implementations part by rounding, and every step of training carries the
# difference on. Measured: losses 1.3e-7, predictions 6e-7 and weights 1.1e-7 in float32; 4e-16,
# 1.1e-15 and 4e-16 in float64. A wrong rule shows as 1e-8 and more in float64.
BOUND = {"float32": 2e-6, "float64": 5e-15}


def execute(
    imports: str, program: str, label: float = 0.0, *, comparable: bool = True
) -> dict[str, Any]:
    """The names a program leaves behind.

    ``comparable`` puts in the two things without which no two runs are alike: given initial
    weights, and the rows in their own order. Without it the text is run as it stands.
    """

    def initial_weights(model: Any) -> list[np.ndarray]:
        return random_weights([w.shape for w in model.get_weights()], np.random.default_rng(1))

    names: dict[str, Any] = {"np": np, "initial_weights": initial_weights}
    begin, fit = (BEGIN, ", shuffle=False") if comparable else ("", "")
    np.random.seed(7)  # the data of the program
    text = imports + program.format(begin=begin, fit=fit, label=label)
    with warnings.catch_warnings():
        # Keras advises against input_shape on a layer, which these programs use.
        warnings.filterwarnings("ignore", "Do not pass an `input_shape`", UserWarning)
        exec(compile(text, "<program>", "exec"), names)
    return names


def compare(got: dict[str, Any], expected: dict[str, Any], dtype: str) -> None:
    ulps = BOUND[dtype] / EPS[dtype]
    assert sorted(got["history"].history) == sorted(expected["history"].history)
    for name, curve in got["history"].history.items():
        other = np.array(expected["history"].history[name])
        assert_close(np.array(curve, dtype), other.astype(dtype), ulps=ulps, what=name)
    assert_close(got["predictions"], expected["predictions"], ulps=ulps, what="predictions")
    final = [names["model"].get_weights() for names in (got, expected)]
    for name, a, b in zip(got["model"].named_weights(), *final, strict=True):
        assert_close(a, b, ulps=ulps, what=name)


@pytest.mark.parametrize("program", [ONE_VALUE, SEVERAL_VALUES, MASKED])
def test_the_programs_run_as_they_stand(program):
    left = execute(OUR_IMPORTS, program, comparable=False)
    losses = left["history"].history["loss"]
    assert losses[-1] < losses[0]
    assert left["predictions"].shape == left["y"].shape


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_programs_run_with_other_imports_and_learn_the_same(name, dtype):
    require("keras")
    with library_dtype(dtype):
        expected = execute(KERAS_IMPORTS, PROGRAMS[name])
        got = execute(OUR_IMPORTS, PROGRAMS[name])
    losses = got["history"].history["loss"]
    assert losses[-1] < losses[0]
    assert got["predictions"].shape == got["y"].shape
    compare(got, expected, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_padded_program_as_written_learns_its_padding_as_keras_does_and_says_so(dtype):
    require("keras")
    with library_dtype(dtype):
        expected = execute(KERAS_IMPORTS, PADDED)
        with pytest.warns(UserWarning, match="the padding is learned from"):
            got = execute(OUR_IMPORTS, PADDED)
    compare(got, expected, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_padded_program_with_masking_counts_no_padding(dtype):
    require("keras")
    with library_dtype(dtype):
        expected = execute(KERAS_IMPORTS, MASKED)
        got = execute(OUR_IMPORTS, MASKED)
        other_labels = execute(OUR_IMPORTS, MASKED, label=1000.0)
    compare(got, expected, dtype)
    assert np.any(other_labels["y"] != got["y"])
    assert other_labels["history"].history == got["history"].history
    np.testing.assert_array_equal(other_labels["predictions"], got["predictions"])
    real = got["X"] != 0
    final = np.mean((got["model"].predict(got["X"]) - got["y"])[real] ** 2)
    judged = got["model"].evaluate(got["X"], got["y"], return_dict=True)
    assert judged["loss"] == pytest.approx(final, rel=1e-5)
    assert judged["mae"] == pytest.approx(
        np.mean(np.abs((got["predictions"] - got["y"])[real])), rel=1e-5
    )


def test_without_masking_the_padded_labels_count():
    with pytest.warns(UserWarning, match="the padding is learned from"):
        zeros = execute(OUR_IMPORTS, PADDED)
    other = execute(OUR_IMPORTS, PADDED, label=1000.0)
    assert other["history"].history["loss"][0] > 100 * zeros["history"].history["loss"][0]


def test_only_the_imports_differ():
    ours, theirs = OUR_IMPORTS.splitlines(), KERAS_IMPORTS.splitlines()
    assert [re.sub("lstm_ref", "tensorflow.keras", line) for line in ours] == theirs
    assert all("tensorflow" not in text for text in (ONE_VALUE, SEVERAL_VALUES, PADDED, MASKED))
