"""A CSV file as numbers with column names. What is missing stays visible."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lstm_ref.conventions import Array

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none"})
"""How files write a value that is not there, in lower case."""

DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True)
class Table:
    """Columns of numbers under names; a row is a time step."""

    columns: tuple[str, ...]
    values: Array
    """[N,D] float64, NaN where a value is missing."""

    def __len__(self) -> int:
        return len(self.values)

    def select(self, columns: Sequence[str]) -> Array:
        """The values [N,len(columns)] of these columns, in this order.

        Raises:
            ValueError: naming the columns that are not there, and those that are.
        """
        absent = [name for name in columns if name not in self.columns]
        if absent:
            raise ValueError(_absent(absent, self.columns))
        return self.values[:, [self.columns.index(name) for name in columns]]


def read_table(path: str | Path, columns: Sequence[str] | None = None) -> Table:
    """Read these columns of a CSV file (None: all of them), whose first row names them.

    Cells are separated by commas, semicolons or tabs, whichever the first row uses. A cell that is
    empty, or reads NA, N/A, NaN, null or None, is missing and becomes NaN. Columns that are not
    asked for may hold anything: dates, text.

    Raises:
        ValueError: a column that is not there; a cell that is no finite number, a row of another
            length, with the line it stands in; a file that is not UTF-8 text.
        OSError: a file that cannot be opened.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            delimiter = max(DELIMITERS, key=first.count)
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            names = tuple(name.strip() for name in next(reader, ()))
            wanted = _wanted(names, columns, path)
            values = [
                [_number(cells[n], names[n], f"{path}, line {reader.line_num}") for n in wanted]
                for cells in reader
                if cells and _same_length(cells, names, f"{path}, line {reader.line_num}")
            ]
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text ({error}): save the table as CSV") from error
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: {error}") from error
    return Table(
        tuple(names[n] for n in wanted),
        np.asarray(values, dtype=np.float64).reshape(len(values), len(wanted)),
    )


def _wanted(names: tuple[str, ...], columns: Sequence[str] | None, path: str | Path) -> list[int]:
    """Where the columns asked for stand."""
    if not any(names):
        raise ValueError(f"{path} has no first row with the names of its columns")
    for name in names:
        if names.count(name) > 1 and (columns is None or name in columns):
            raise ValueError(f"{path} has {names.count(name)} columns named {name!r}")
    if columns is None:
        return list(range(len(names)))
    absent = [name for name in columns if name not in names]
    if absent:
        raise ValueError(f"{path}: {_absent(absent, names)}")
    return [names.index(name) for name in columns]


def _absent(absent: Sequence[str], present: Sequence[str]) -> str:
    none = "there is no column" if len(absent) == 1 else "there are no columns"
    return f"{none} {', '.join(map(repr, absent))}; the table has {', '.join(map(repr, present))}"


def _same_length(cells: list[str], names: tuple[str, ...], where: str) -> bool:
    if len(cells) != len(names):
        raise ValueError(
            f"{where} has {len(cells)} cells, and the first row names {len(names)} columns"
        )
    return True


def _number(cell: str, name: str, where: str) -> float:
    """A cell as a number."""
    text = cell.strip()
    if text.lower() in MISSING:
        return math.nan
    try:
        number = float(text)
    except ValueError:
        number = math.inf
    if not math.isfinite(number):
        hint = "; write decimals with a point" if "," in text else ""
        raise ValueError(f"{where}, column {name!r}: {cell!r} is not a number{hint}")
    return number
