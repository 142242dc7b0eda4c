"""The spoken vowels that are carried with the package: who speaks, frame by frame."""

import csv
from importlib.resources import files
from typing import NamedTuple

import numpy as np

from lstm_ref.conventions import Array

CHANNELS = tuple(f"lpc{n}" for n in range(1, 13))


class Utterances(NamedTuple):
    """Recordings of different lengths, and who speaks."""

    frames: list[Array]
    """[T,12] float64 each, T from 7 to 29."""
    speakers: Array
    """[N], whole numbers from 0 to 8."""


def japanese_vowels() -> tuple[Utterances, Utterances]:
    """Nine speakers saying two Japanese vowels in succession: 270 times to train on, 370 to test.

    A frame is a time step: 12 LPC cepstrum coefficients. The file counts speakers from 1 to 9; here
    they are the classes 0 to 8.

    Source: Kudo, Toyama, Shimbo (1999), "Japanese Vowels", UCI Machine Learning Repository,
    doi.org/10.24432/C5NS47, licensed under CC BY 4.0.
    """
    recordings: dict[tuple[str, int], list[list[float]]] = {}
    speakers: dict[tuple[str, int], int] = {}
    path = files("lstm_ref") / "data" / "japanese_vowels.csv"
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            utterance = row["split"], int(row["sequence"])
            recordings.setdefault(utterance, []).append([float(row[name]) for name in CHANNELS])
            speakers[utterance] = int(row["speaker"]) - 1
    train, test = (
        Utterances(
            [np.array(frames) for (part, _), frames in recordings.items() if part == split],
            np.array([speaker for (part, _), speaker in speakers.items() if part == split]),
        )
        for split in ("train", "test")
    )
    return train, test
