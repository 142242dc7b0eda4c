"""The spoken vowels carried with the package."""

import csv
from importlib.resources import files

import numpy as np

from lstm_ref.sequences import japanese_vowels


def test_every_frame_of_the_file_is_there_once_and_in_order():
    train, test = japanese_vowels()
    with (files("lstm_ref") / "data" / "japanese_vowels.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = iter(rows)
    for part, name in ((train, "train"), (test, "test")):
        for number, (frames, speaker) in enumerate(zip(part.frames, part.speakers, strict=True)):
            for t, frame in enumerate(frames):
                row = next(found)
                assert (row["split"], int(row["sequence"]), int(row["t"])) == (name, number, t)
                assert [float(row[f"lpc{n}"]) for n in range(1, 13)] == frame.tolist()
                assert int(row["speaker"]) == speaker + 1
    assert next(found, None) is None


def test_sizes_are_those_of_the_description():
    train, test = japanese_vowels()
    lengths = [len(frames) for part in (train, test) for frames in part.frames]
    assert (min(lengths), max(lengths), sum(lengths)) == (7, 29, 9961)
    np.testing.assert_array_equal(np.bincount(train.speakers), [30] * 9)
    np.testing.assert_array_equal(np.bincount(test.speakers), [31, 35, 88, 44, 29, 24, 40, 50, 29])
