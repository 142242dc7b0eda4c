"""Forecast every row of a CSV table, with a model that `lstm-ref train` wrote.

Each row of the output is a row of the table, and holds what the model expects as many rows later as
it was trained for. Without --out the CSV goes to standard output.
"""

import argparse
import math
import sys
from pathlib import Path

import numpy as np

from lstm_ref.cli import output
from lstm_ref.conventions import Array
from lstm_ref.forecast import Recipe, forecast
from lstm_ref.model import load_model
from lstm_ref.sequences import read_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this verb."""
    parser.add_argument("model", metavar="MODEL", type=Path, help="a file of lstm-ref train")
    parser.add_argument("table", metavar="TABLE", type=Path, help="a CSV file, a row a time step")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the CSV file to write")


def run(args: argparse.Namespace) -> int:
    """Read both, forecast, write."""
    if args.out is not None and args.out.resolve() in (args.table.resolve(), args.model.resolve()):
        raise ValueError(f"--out {args.out} is a file that is read: name another one")
    model = load_model(args.model, compile=False)
    recipe = Recipe.from_metadata(model.metadata)
    table = read_table(args.table, recipe.features)
    forecasts = forecast(model, recipe, table)
    columns = {"row": np.arange(1, len(table) + 1)}
    columns |= {
        f"{target}_in_{recipe.horizon}": forecasts[:, k] for k, target in enumerate(recipe.targets)
    }
    if args.out is not None:
        output.write_csv(args.out, columns)
    if args.json:
        document = {
            "rows": len(table),
            "horizon": recipe.horizon,
            "targets": list(recipe.targets),
            "forecasts": None if args.out else {n: _listed(v) for n, v in columns.items()},
            "file": str(args.out) if args.out else None,
        }
        output.print_json(document)
    elif args.out is None:
        sys.stdout.write(output.csv_bytes(columns).decode())
    else:
        print(f"written: {args.out}, {output.counted(len(table), 'row')} of {', '.join(columns)}")
    return output.FINE


def _listed(values: Array) -> list[float | None]:
    """Numbers as JSON has them."""
    return [value if math.isfinite(value) else None for value in values.tolist()]
