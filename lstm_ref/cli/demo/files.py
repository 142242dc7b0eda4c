"""What the demo leaves in its folder: models, predictions, pictures."""

from pathlib import Path

from lstm_ref import plots
from lstm_ref.cli import output
from lstm_ref.cli.demo.report import column_title, date
from lstm_ref.cli.demo.tasks import CALENDAR, DAY, HELD_OUT, Outcome
from lstm_ref.conventions import Array
from lstm_ref.errors import MissingExtraError
from lstm_ref.formats import atomic_write


def write(folder: Path, outcome: Outcome) -> list[Path]:
    """The model, its predictions, and where matplotlib is there a picture of them."""
    name = folder / outcome.task.name
    model, predictions, picture = (name.with_suffix(s) for s in (".npz", ".csv", ".png"))
    outcome.experiment.plan.model.save(model, include_optimizer=False)
    output.write_csv(predictions, _predictions(outcome))
    try:
        _draw(picture, outcome)
    except MissingExtraError:
        return [model, predictions]
    return [model, predictions, picture]


def _predictions(outcome: Outcome) -> dict[str, Array]:
    """The columns of the CSV file, a row for each hour held out."""
    plan, of_row = outcome.experiment.plan, outcome.experiment.of_row
    table, held_out = plan.table, slice(plan.first, None)
    columns = {name: table.select([name])[held_out, 0] for name in CALENDAR}
    measured = table.select(outcome.task.columns)[held_out]
    for k, target in enumerate(outcome.task.columns):
        columns[f"{target}_measured"] = measured[:, k]
        columns[f"{target}_predicted"] = of_row["model"][held_out, k]
        columns[f"{target}_hour_before"] = of_row["persistence"][held_out, k]
        columns[f"{target}_same_hour_yesterday"] = of_row["seasonal"][held_out, k]
    return columns


def _draw(path: Path, outcome: Outcome) -> None:
    """Every hour held out, measured and predicted."""
    table, first = outcome.experiment.plan.table, outcome.experiment.plan.first
    figure = plots.forecast(
        table.select(outcome.task.columns)[first:],
        outcome.experiment.of_row["model"][first:],
        [column_title(column) for column in outcome.task.columns],
        title="Every hour of the four weeks held out",
        predicted_label="predicted one hour before",
        ticks={hour: date(table, first + hour) for hour in range(0, HELD_OUT, 4 * DAY)},
    )
    with atomic_write(path) as file:
        figure.savefig(file, format="png")
