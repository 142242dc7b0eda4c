"""What the verbs share in writing: exit codes, JSON, tables, CSV files, the bar of the epochs."""

import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lstm_ref.conventions import Array
from lstm_ref.forecast import Score, Watch
from lstm_ref.formats import atomic_write

FINE, DIFFERS, BAD_INPUT = 0, 1, 2
"""The exit codes."""

BASELINES = {"persistence": "the last value", "seasonal": "the same time a period before"}
"""What the baselines of a `Score` do, in words."""


def print_json(document: Mapping[str, Any]) -> None:
    """The one document of ``--json``."""
    print(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def counted(n: int, noun: str) -> str:
    """``1 row``, ``2 rows``, ``1,000 rows``."""
    return f"{n:,} {noun}{'s' * (n != 1)}"


def quiet(*_: Any, **__: Any) -> None:
    """In place of print, where ``--json`` wants standard output for itself."""


def aligned(rows: Sequence[Sequence[str]], indent: int = 2) -> str:
    """Rows of cells as text: the first column to the left, the others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [f"{first:{widths[0]}}"]
        cells += [f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)]
        lines.append(" " * indent + "  ".join(cells).rstrip())
    return "\n".join(lines)


def scores_table(
    scores: Sequence[Score],
    *,
    titles: Mapping[str, str] | None = None,
    baselines: Mapping[str, str] = BASELINES,
    indent: int = 2,
) -> str:
    """The errors of the model and the baselines, a column for each target."""
    titles = titles or {}
    rows = [["", *(titles.get(s.target, s.target) for s in scores)]]
    rows.append(["this LSTM", *(f"{s.model:.3f}" for s in scores)])
    rows.extend(
        [baselines.get(name, name), *(f"{s.baselines[name]:.3f}" for s in scores)]
        for name in scores[0].baselines
    )
    return aligned(rows, indent)


def csv_bytes(columns: Mapping[str, Array]) -> bytes:
    """Columns as the text of a CSV file: numbers with 7 digits, nothing where one is missing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow("" if np.isnan(value) else f"{value:.7g}" for value in row)
    return text.getvalue().encode()


def write_csv(path: Path, columns: Mapping[str, Array]) -> None:
    """A CSV file, whole or not at all."""
    with atomic_write(path) as file:
        file.write(csv_bytes(columns))


def epoch_bar(epochs: int, what: str) -> Watch:
    """Passes the losses of the epochs on, and shows a bar on a terminal; nothing in a pipe."""

    def watch(losses: Iterator[float]) -> Iterable[float]:
        from tqdm import tqdm  # here, so that verbs without a bar start without it

        bar_format = "{desc} {bar:20} {n_fmt}/{total_fmt} epochs{postfix}"
        with tqdm(
            total=epochs,
            desc=what,
            file=sys.stderr,
            disable=None,  # unless it is a terminal
            leave=False,
            bar_format=bar_format,
            ascii=" ━",
        ) as bar:
            for loss in losses:
                bar.set_postfix_str(f"loss {loss:.4f}", refresh=False)
                bar.update()
                yield loss

    return watch
