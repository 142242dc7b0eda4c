"""Train an LSTM to forecast columns of a CSV table, at every row.

The last rows are held out: the error on them is shown beside forecasts that need no model. The
file that is written carries the columns' names and their scaling, so that `lstm-ref predict` needs
nothing else. Missing values are allowed: such rows are masked steps.
"""

import argparse
import math
from pathlib import Path

import numpy as np

from lstm_ref import formats
from lstm_ref.cli import output
from lstm_ref.cli.arguments import column_list, fraction, positive_int, positive_number
from lstm_ref.forecast import Experiment, Plan, Settings, plan_experiment, run_experiment
from lstm_ref.sequences import Table, read_table
from lstm_ref.spec.activations import ACTIVATIONS
from lstm_ref.training.optimizers import OPTIMIZERS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this verb."""
    usual = Settings()
    parser.add_argument(
        "table", metavar="TABLE", type=Path, nargs="?", help="a CSV file, a row a time step"
    )
    column_list(parser, "--target", required=True, help="what is to be predicted")
    column_list(parser, "--features", help="what the model reads; the targets when not given")
    parser.add_argument(
        "--horizon",
        type=positive_int,
        default=1,
        metavar="ROWS",
        help="how far ahead (%(default)s)",
    )
    parser.add_argument(
        "--window",
        type=positive_int,
        default=usual.window,
        metavar="ROWS",
        help="rows of one sequence (%(default)s)",
    )
    parser.add_argument(
        "--units", type=positive_int, default=usual.units, help="of the LSTM (%(default)s)"
    )
    parser.add_argument(
        "--activation",
        choices=sorted(name for name, activation in ACTIVATIONS.items() if activation.plain),
        default=usual.activation,
        metavar="NAME",
        help="of the LSTM (%(default)s)",
    )
    parser.add_argument(
        "--optimizer",
        choices=sorted(OPTIMIZERS),
        default=usual.optimizer,
        help="%(choices)s (%(default)s)",
        metavar="NAME",
    )
    parser.add_argument("--lr", type=positive_number, help="learning rate; the optimizer's own")
    parser.add_argument(
        "--epochs", type=positive_int, default=usual.epochs, help="(%(default)s)", metavar="N"
    )
    parser.add_argument(
        "--batch-size",
        type=positive_int,
        default=usual.batch_size,
        metavar="N",
        help="windows a step (%(default)s)",
    )
    parser.add_argument("--seed", type=int, default=usual.seed, help="(%(default)s)")
    parser.add_argument(
        "--holdout",
        type=fraction,
        default=0.2,
        metavar="PART",
        help="the part of the rows, the last ones, that is not trained on (%(default)s)",
    )
    parser.add_argument(
        "--period",
        type=positive_int,
        metavar="ROWS",
        help="rows of a season, such as 24 for hours of a day: one more baseline",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("model.npz"), metavar="FILE", help="(%(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Train, judge, write the model."""
    formats.check_path(args.out)  # before an hour of training, not after it
    if args.table is None:
        args.table = _table_after(args.target, args.features)
    features = args.features or args.target
    table = read_table(args.table, tuple(dict.fromkeys((*features, *args.target))))
    first = math.floor(len(table) * (1 - args.holdout))
    settings = Settings(
        window=args.window,
        units=args.units,
        activation=args.activation,
        optimizer=args.optimizer,
        learning_rate=args.lr,
        batch_size=args.batch_size,
        epochs=args.epochs,
        seed=args.seed,
    )
    plan = plan_experiment(
        table, features, args.target, settings, first=first, horizon=args.horizon
    )
    if not args.json:
        _show_plan(args, plan)
    watch = output.epoch_bar(args.epochs, "training")
    experiment = run_experiment(plan, period=args.period, watch=watch)
    plan.model.save(args.out, include_optimizer=False)
    if args.json:
        output.print_json(_document(args, experiment))
    else:
        _show(args, experiment)
    return output.FINE


def _table_after(*column_lists: list[str] | None) -> Path:
    """The table where it was named after the columns, and so was read as one of them.

    Raises:
        ValueError: it was not named at all.
    """
    for columns in column_lists:
        if (
            columns
            and len(columns) > 1
            and (Path(columns[-1]).suffix or Path(columns[-1]).exists())
        ):
            return Path(columns.pop())
    raise ValueError("no table was named: lstm-ref train TABLE.csv --target COLUMN")


def _show_plan(args: argparse.Namespace, plan: Plan) -> None:
    x, y, _ = plan.data
    recipe = plan.recipe
    horizon, window = (output.counted(n, "row") for n in (recipe.horizon, recipe.window))
    print(f"{args.table}: {output.counted(len(plan.table), 'row')}{_missing(plan.table)}")
    print(f"reads    {', '.join(recipe.features)}")
    print(f"predicts {', '.join(recipe.targets)}, {horizon} later, at every row")
    print(f"x {x.shape} → y {y.shape}   (batch, time, features): windows of {window}")


def _show(args: argparse.Namespace, experiment: Experiment) -> None:
    weights, losses = experiment.plan.model.count_params(), experiment.losses
    epochs = output.counted(len(losses), "epoch")
    print(f"{weights:,} weights, {epochs}: loss {losses[0]:.4f} → {losses[-1]:.4f}")
    if experiment.scores:
        compared = " and ".join(f"{n:,}" for n in sorted({s.rows for s in experiment.scores}))
        print(f"\nroot mean square error on {compared} of the last rows, which were held out:")
        print(output.scores_table(experiment.scores))
        beaten = [s.target for s in experiment.scores if not s.beats_baselines]
        if beaten:
            print(
                f"It does not beat them all for {', '.join(beaten)}. More epochs may help; where\n"
                "a trend leaves the range it was trained on, predict the differences instead."
            )
    else:
        print("\nno rows were held out, so nothing says how good it is")
    print(f"\nwritten: {args.out}\nnext: lstm-ref predict {args.out} {args.table} --out FILE.csv")


def _missing(table: Table) -> str:
    """How many of them the model will skip."""
    rows = int(np.isnan(table.values).any(axis=1).sum())
    return f", {rows:,} of them with a missing value" if rows else ""


def _document(args: argparse.Namespace, experiment: Experiment) -> dict[str, object]:
    plan = experiment.plan
    return {
        "model": str(args.out),
        "rows": len(plan.table),
        "rows_trained": plan.first,
        "features": list(plan.recipe.features),
        "targets": list(plan.recipe.targets),
        "x_shape": list(plan.data.x.shape),
        "y_shape": list(plan.data.y.shape),
        "parameters": plan.model.count_params(),
        "losses": experiment.losses,
        "scores": [score.to_dict() for score in experiment.scores],
    }
