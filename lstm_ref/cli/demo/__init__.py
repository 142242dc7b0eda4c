"""Train two LSTMs on real weather, predict every hour of weeks they have not seen, and show it.

The first reads one value an hour and predicts the next one: temperature. The second reads and
predicts three. Both are judged on the last weeks of the year beside forecasts that need no model;
then the gradient they were trained with is checked by finite differences. Everything is written to
a folder. Exit code 1 when a model does not beat the baselines, or a gradient is wrong.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lstm_ref.cli import output
from lstm_ref.cli.arguments import positive_int
from lstm_ref.cli.demo import files, report
from lstm_ref.cli.demo.tasks import TASKS, check_gradient, demo_table, perform, plan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this verb."""
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("lstm-ref-demo"),
        metavar="DIR",
        help="the folder to write to (%(default)s)",
    )
    usual = " and ".join(str(task.settings.epochs) for task in TASKS)
    parser.add_argument(
        "--epochs", type=positive_int, metavar="N", help=f"of each model, instead of {usual}"
    )


def run(args: argparse.Namespace) -> int:
    """Train, judge, check, write."""
    say: Callable[[str], None] = output.quiet if args.json else print
    args.out.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    table = demo_table()
    say(report.introduction(table))
    outcomes, written = [], []
    for number, task in enumerate(TASKS, start=1):
        if args.epochs is not None:
            task = replace(task, settings=replace(task.settings, epochs=args.epochs))
        say(f"\n{number}. {task.title}\n")
        prepared = plan(task, table)
        say(report.shapes(prepared))
        bar = output.epoch_bar(task.settings.epochs, "   training")
        outcome = perform(task, prepared, bar)
        say(report.outcome(outcome))
        outcomes.append(outcome)
        written += files.write(args.out, outcome)
    say(f"\n{len(TASKS) + 1}. Is the gradient right that trained them?\n")
    say(report.GRADIENTS)
    checks = []
    for outcome in outcomes:
        checks.append(check_gradient(outcome))
        say(report.gradient(outcome, checks[-1]))
    say(report.files(args.out, written))
    seconds = time.perf_counter() - started
    say(report.conclusion(outcomes, checks, seconds))
    document = report.document(outcomes, checks, written, seconds)
    if args.json:
        output.print_json(document)
    return output.FINE if document["ok"] else output.DIFFERS
