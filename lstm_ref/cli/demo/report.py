"""What the demo says, written for someone who has never seen the project."""

import math
from pathlib import Path
from typing import Any

from lstm_ref.cli import output
from lstm_ref.cli.demo.tasks import CALENDAR, HELD_OUT, MEASUREMENTS, Outcome
from lstm_ref.errors import MissingExtraError
from lstm_ref.forecast import Plan
from lstm_ref.sequences import Table
from lstm_ref.verify import GradientCheck

BASELINES = {"persistence": "the hour before", "seasonal": "same hour yesterday"}
GRADIENTS = (
    "   Each weight is moved a little both ways, and the loss must change by as much as the\n"
    "   gradient says (in float64; large weights along random directions)."
)
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def introduction(table: Table) -> str:
    """What it is about."""
    begin, end = date(table, len(table) - HELD_OUT), date(table, len(table) - 1)
    return (
        "An LSTM learns real weather and predicts the next hour, at every hour.\n\n"
        f"Data: {len(table):,} hours at Greensboro, North Carolina, a typical year (NREL TMY3,\n"
        f"station 723170, public domain). The last four weeks, {begin} to {end}, are held out:\n"
        "the models learn from the hours before them, and are judged on them."
    )


def shapes(plan: Plan) -> str:
    """From the table to the predictions, what each axis is."""
    (B, T, D), K = plan.data.x.shape, plan.data.y.shape[-1]
    H = plan.settings.units
    values = output.counted(D, "value")
    rows = [
        ("the table", (plan.first, D), f"{values} for each hour to learn from"),
        ("x", (B, T, D), f"{B} windows of {T} hours, {values} at every hour"),
        (f"LSTM({H}, {plan.settings.activation!r})", (B, T, H), f"{H} hidden values at every hour"),
        (f"Dense({K})", (B, T, K), "a prediction at every hour"),
        ("y", (B, T, K), "what came one hour later, for every hour: the target"),
    ]
    width = max(len(str(shape)) for _, shape, _ in rows)
    lines = [f"  {name:17}  {shape!s:{width}}   {text}" for name, shape, text in rows]
    return _indented("\n".join(["The shapes, (batch, time, features):", *lines]))


def outcome(result: Outcome) -> str:
    """One model: its training, some of its predictions, its errors."""
    experiment, settings = result.experiment, result.task.settings
    epochs = f"{output.counted(settings.epochs, 'epoch')} with {settings.optimizer}"
    loss = f"loss {experiment.losses[0]:.4f} → {experiment.losses[-1]:.4f}"
    weights = experiment.plan.model.count_params()
    several = len(result.task.columns) > 1
    verdict = "beats" if result.beats_baselines else "DOES NOT BEAT"
    lines = [
        "",
        f"{weights:,} weights, {epochs}: {loss} ({result.seconds:.0f} s)",
        "",
        "The first hours held out, as measured and as predicted an hour before:",
        _excerpt(result),
        "",
        f"How far off over all {HELD_OUT} hours held out (root mean square error), beside saying",
        "that nothing changes from the hour before, or from the same hour yesterday:",
        output.scores_table(
            experiment.scores,
            titles={column: column_title(column) for column in result.task.columns},
            baselines=BASELINES,
        ),
        f"The LSTM {verdict} both{' for every value' * several}.",
    ]
    return _indented("\n".join(lines))


def _excerpt(result: Outcome, hours: int = 4) -> str:
    """The first hours held out."""
    columns, plan = result.task.columns, result.experiment.plan
    measured, predicted = plan.table.select(columns), result.experiment.of_row["model"]
    rows = [["", *(text for c in columns for text in (plain(c), "predicted"))]]
    for row in range(plan.first, plan.first + hours):
        pairs = zip(measured[row], predicted[row], strict=True)
        cells = [f"{value:.1f}" for pair in pairs for value in pair]
        rows.append([date(plan.table, row, hour=True), *cells])
    return output.aligned(rows)


def gradient(result: Outcome, check: GradientCheck) -> str:
    """The gradient check of one model."""
    title, *rows = str(check).splitlines()
    if check.ok:
        worst = check.worst.worst_relative_error
        title = f"it agrees, to a relative error of {worst:.0e} at worst ({check.rtol:.0e} allowed)"
    return _indented("\n".join(["", f"{plain(result.task.name)}: {title}", *rows]))


def files(folder: Path, written: list[Path]) -> str:
    """What was written, and what to do with it."""
    meanings = {
        ".npz": "the model",
        ".csv": f"its predictions, a row for each of the {HELD_OUT} hours held out",
        ".png": "the same as a picture",
    }
    lines = [f"\nWritten to {folder}/"]
    lines += [f"  {path.name:20}  {meanings[path.suffix]}" for path in written]
    if all(path.suffix != ".png" for path in written):
        lines.append(f"  no pictures: {MissingExtraError('matplotlib', 'plot')}")
    model = next(path for path in written if path.suffix == ".npz")
    lines += [
        "\nNext",
        f"  lstm-ref inspect {model}",
        "  lstm-ref train TABLE.csv --target COLUMN   (your own data; lstm-ref train --help)",
    ]
    return "\n".join(lines)


def conclusion(outcomes: list[Outcome], checks: list[GradientCheck], seconds: float) -> str:
    """Whether all is right."""
    wrong = []
    for result, check in zip(outcomes, checks, strict=True):
        if not result.beats_baselines:
            wrong.append(f"{plain(result.task.name)}: it does not beat the baselines")
        if not check.ok:
            wrong.append(f"{plain(result.task.name)}: its gradient is wrong in {check.worst.place}")
    if wrong:
        return f"\nNOT AS IT SHOULD BE ({seconds:.0f} s). {'. '.join(wrong)}."
    return f"\nBoth models beat both baselines, and both gradients are right ({seconds:.0f} s)."


def document(
    outcomes: list[Outcome], checks: list[GradientCheck], written: list[Path], seconds: float
) -> dict[str, Any]:
    """All of it for ``--json``."""
    results = list(zip(outcomes, checks, strict=True))
    return {
        "ok": all(result.beats_baselines and check.ok for result, check in results),
        "models": {r.task.name: _model_document(r, check) for r, check in results},
        "files": [str(path) for path in written],
        "seconds": seconds,
    }


def _model_document(result: Outcome, check: GradientCheck) -> dict[str, Any]:
    experiment, plan = result.experiment, result.experiment.plan
    B, T, D = plan.data.x.shape
    error = check.worst.worst_relative_error
    return {
        "shapes": {
            "x": [B, T, D],
            "lstm": [B, T, plan.settings.units],
            "y": list(plan.data.y.shape),
        },
        "parameters": plan.model.count_params(),
        "losses": experiment.losses,
        "scores": [score.to_dict() for score in experiment.scores],
        "beats_baselines": result.beats_baselines,
        "gradient": {
            "ok": check.ok,
            "worst": check.worst.place,
            "worst_relative_error": error if math.isfinite(error) else None,
        },
        "training_seconds": result.seconds,
    }


def plain(name: str) -> str:
    """``temperature_c`` and ``one_value`` as a reader says them."""
    return name.rpartition("_")[0] if name in MEASUREMENTS else name.replace("_", " ")


def column_title(column: str) -> str:
    """``temperature (°C)``."""
    return f"{plain(column)} ({MEASUREMENTS[column]})"


def date(table: Table, row: int, hour: bool = False) -> str:
    """``Dec 4``, or ``Dec 4,  1:00``."""
    month, day, hour_of_day = table.select(CALENDAR)[row].astype(int)
    return f"{MONTHS[month - 1]} {day}" + f", {hour_of_day:2d}:00" * hour


def _indented(text: str) -> str:
    return "\n".join(f"   {line}" if line else line for line in text.splitlines())
