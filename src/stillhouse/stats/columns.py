"""The columns of the tables that programs read: types, units and meanings, in one place.

`run` is the key of all tables. Accuracies are in percent, differences in points, losses in nats.
A missing value is empty, with its reason in the column `why` where the table has one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd

Type = Literal["text", "integer", "number", "yes/no"]
DTYPES: dict[Type, str] = {
    "text": "object",
    "integer": "Int64",
    "number": "float64",
    "yes/no": "boolean",
}
AXIS = "axis_"


@dataclass(frozen=True)
class Column:
    """A column of a table; `unit` is empty for a column without one."""

    name: str
    type: Type
    unit: str
    meaning: str


RUNS = (
    Column("run", "text", "", "path of the run's folder below `experiments/`: the key"),
    Column("dataset", "text", "", "name of the dataset"),
    Column("method", "text", "", "name of the method; `pure` for a run without a teacher"),
    Column("axis", "text", "", "swept axes of the run, separated by spaces"),
    Column("value", "number", "", "value of the axis, of a run with one (else see `axis_NAME`)"),
    Column("student", "text", "", "network that is trained; of a teacher's run, the teacher"),
    Column("teacher", "text", "", "network that teaches"),
    Column("seed", "integer", "", "seed of weights, order and augmentation"),
    Column(
        "state", "text", "", "as in `status`: `done`, `running`, `failed`, `lost`, `queued`, ..."
    ),
    Column(
        "valid", "yes/no", "", "of a completed run: whether it learned more than guessing reaches"
    ),
    Column("accuracy", "number", "%", "test accuracy of the final epoch"),
    Column("best_accuracy", "number", "%", "test accuracy of the best epoch"),
    Column("best_epoch", "integer", "epoch", "the best epoch, chosen on `chosen_on`"),
    Column("ema_accuracy", "number", "%", "that of the averaged weights, with `ema_decay`"),
    Column("loss", "number", "nats", "test cross entropy of the final epoch"),
    Column("role", "text", "", "`teacher`, `pure` or `method`"),
    Column("arm", "text", "", "label of the row in result tables; equal for runs of all seeds"),
    Column("chosen_on", "text", "", "images that the best epoch was chosen on"),
    Column("ece", "number", "%", "expected calibration error of the final epoch, test images"),
    Column("agreement", "number", "%", "test images with the teacher's answer, final epoch"),
    Column("teacher_run", "text", "", "path of the teacher's run, in its own round"),
    Column("teacher_accuracy", "number", "%", "test accuracy of the weights that taught"),
    Column("teacher_sha256", "text", "", "SHA-256 of the weights that taught"),
    Column("epochs", "integer", "epochs", "finished epochs"),
    Column("planned_epochs", "integer", "epochs", "epochs that the round file asks for"),
    Column("parameters", "integer", "", "trained parameters of the network"),
    Column("method_parameters", "integer", "", "trained parameters of the method's own modules"),
    Column("method_frozen_parameters", "integer", "", "frozen parameters of these modules"),
    Column(
        "multiply_adds",
        "integer",
        "",
        "multiply-adds of convolutions and matrix products for one image; this and the columns up "
        "to `timed_on` are there once `extract` has run",
    ),
    Column("milliseconds_per_image", "number", "ms", "time of the network for one image"),
    Column("top5", "number", "%", "test images whose class is among the five highest logits"),
    Column("worst_class", "integer", "", "class with the lowest test accuracy"),
    Column("worst_class_accuracy", "number", "%", "its test accuracy"),
    Column("timed_on", "text", "", "device, threads, networks at once and batch size of that time"),
    Column("why", "text", "", "why the run does not count, or how it ended"),
)
EPOCHS = (
    Column("run", "text", "", "path of the run's folder below `experiments/`: the key"),
    Column("epoch", "integer", "epoch", "from 1"),
    Column("lr", "number", "", "learning rate at the epoch's last step"),
    Column("train_loss", "number", "nats", "mean total loss over the epoch's training images"),
    Column("train_accuracy", "number", "%", "accuracy on the epoch's training images"),
    Column("test_loss", "number", "nats", "test cross entropy"),
    Column("test_accuracy", "number", "%", "test accuracy"),
    Column("validation_loss", "number", "nats", "validation cross entropy"),
    Column("validation_accuracy", "number", "%", "validation accuracy"),
    Column("ema_accuracy", "number", "%", "test accuracy of the averaged weights"),
    Column("train_ce", "number", "nats", "mean cross entropy on the training images"),
    Column("ece", "number", "%", "expected calibration error on the test images"),
    Column("agreement", "number", "%", "test images with the teacher's answer"),
    Column("gradient_norm", "number", "", "norm of the gradient, mean over the epoch's steps"),
    Column("update_ratio", "number", "", "change of the weights, relative to their norm"),
    Column("images_per_second", "number", "1/s", "training speed"),
    Column("seconds", "number", "s", "duration of the epoch if the run is trained alone"),
    Column("loading_seconds", "number", "s", "of them: batches (older runs: not in `seconds`)"),
    Column("teacher_seconds", "number", "s", "of them: the teacher (older runs: not in `seconds`)"),
)
MEASURES = (
    Column("dataset", "text", "", "name of the dataset"),
    Column("run", "text", "", "path of the run's folder below `experiments/`: the key"),
    Column("layer", "text", "", "group of the network: `layer1`, `layer2`, `layer3`, `logits`"),
    Column("measure", "text", "", "name of the measure"),
    Column("value", "number", "", "its value, in the measure's own unit"),
    Column("teacher", "text", "", "the teacher whose logits the run's are compared with"),
    Column("kind", "text", "", "what that teacher is to the run, as in `pairs`"),
    Column("why", "text", "", "why there is no value"),
)
PAIRS = (
    Column("dataset", "text", "", "name of the dataset"),
    Column("run_a", "text", "", "path of the first run's folder below `experiments/`"),
    Column("layer_a", "text", "", "group of the first network"),
    Column("run_b", "text", "", "path of the second run's folder below `experiments/`"),
    Column("layer_b", "text", "", "group of the second network"),
    Column("measure", "text", "", "name of the measure"),
    Column("value", "number", "", "its value, in the measure's own unit"),
    Column(
        "kind",
        "text",
        "",
        "what run b is to run a: `own_teacher`, `other_teacher` (another seed's), `pure_teacher` "
        "(run a was not taught), `pure_other_teacher`, `student_pure`, `teacher_teacher`, "
        "`pure_pure`, `student_student`, `untrained`, `permuted`, `cross_layer`",
    ),
    Column("why", "text", "", "why there is no value"),
)
TRANSFER = (
    Column("dataset", "text", "", "name of the dataset"),
    Column("arm", "text", "", "label of the row in result tables"),
    Column("layer", "text", "", "group of the student, or `logits`"),
    Column("measure", "text", "", "name of the measure"),
    Column(
        "quantity",
        "text",
        "",
        "`excess`: with its own teacher, less that of the pure student of its seed with the same "
        "teacher; `specificity`: with its own teacher, less its mean with other seeds' teachers",
    ),
    Column("n", "integer", "seeds", "seeds that have both"),
    Column("value", "number", "", "mean difference over seeds, in the measure's own unit"),
    Column("sd", "number", "", "sample standard deviation of the differences"),
    Column("low", "number", "", "lower end of the 95 % interval (Student's t)"),
    Column("high", "number", "", "upper end"),
    Column("p", "number", "", "two-sided p of no difference"),
    Column("why", "text", "", "why there is no interval, or no value"),
)
TABLES: dict[str, tuple[str, tuple[Column, ...]]] = {
    "runs": ("run", RUNS),
    "epochs": ("run and finished epoch", EPOCHS),
    "measures": ("run, layer and measure", MEASURES),
    "pairs": ("pair of layers and measure", PAIRS),
    "transfer": ("arm, layer, measure and quantity", TRANSFER),
}


def frame(rows: Sequence[Mapping[str, Any]], columns: Iterable[Column]) -> pd.DataFrame:
    """Return rows as a frame with these columns first, each of its type; None is missing.

    Columns that only the rows have follow in their order, as numbers.
    """
    import pandas as pd

    listed = {column.name: column for column in columns}
    more = dict.fromkeys(name for row in rows for name in row if name not in listed)
    types = {name: DTYPES[column.type] for name, column in listed.items()}
    return pd.DataFrame(
        {
            name: pd.Series([row.get(name) for row in rows], dtype=types.get(name, "float64"))
            for name in (*listed, *more)
        }
    )


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as plain values: None where one is missing, `yes` or `no` for a flag."""
    names = [str(name) for name in table.columns]
    values = table.astype(object).where(table.notna(), None).itertuples(index=False, name=None)
    plain: list[dict[str, Any]] = [dict(zip(names, row, strict=True)) for row in values]
    flags = [name for name in names if table[name].dtype == DTYPES["yes/no"]]
    return [row | {name: flag(row[name]) for name in flags} for row in plain]


def flag(value: bool | None) -> str | None:
    """Return `yes` or `no`; None where the value is missing."""
    return None if value is None else "yes" if value else "no"
