"""From a round to its document, in the order of a study's own: results, failures, checklist."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from stillhouse import data
from stillhouse.config.diff import diff_rounds
from stillhouse.config.schema import Round, Training
from stillhouse.diagnosis.codes import LEVELS
from stillhouse.diagnosis.finding import Finding
from stillhouse.diagnosis.report import report as diagnosed
from stillhouse.exchange.archive import archive_of
from stillhouse.rounds.provenance import footnotes, unknown_fields
from stillhouse.rounds.survey import Cell, Survey
from stillhouse.show.report.analysis import analysis_sections
from stillhouse.show.report.document import (
    Block,
    Checklist,
    Document,
    Paragraph,
    RunSection,
    Section,
    Task,
)
from stillhouse.show.report.material import Material
from stillhouse.show.report.pictures import forest, grid
from stillhouse.show.report.provenance import provenance
from stillhouse.show.report.runs import all_runs, run_section
from stillhouse.stats.arms import Arm, arms
from stillhouse.tables import Item, Listing, Table

MOST_OBSERVATIONS = 7
NAMES = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW"}
FORMULAS = {
    "reference": "each method's published total",
    "convex": "(1 - alpha) * CE + alpha * distillation loss",
    "additive": "CE + alpha / (1 - alpha) * distillation loss",
}


def document(material: Material) -> Document:
    """The whole report."""
    round_ = material.round
    return Document(
        title=f"Experiment {round_.round[:1].upper()}{round_.round[1:]}".replace("_", " "),
        status=status(
            material.survey, archive_of(material.workspace, round_.round).experiments.is_dir()
        ),
        started=str(round_.started or ""),
        summary=_summary(material),
        sections=tuple(_sections(material)),
        all_runs=all_runs(material.survey),
        runs=tuple(_run_sections(material)),
    )


def status(survey: Survey, archived: bool = False) -> str:
    """The state of the round, derived from its runs: `training: 81 of 96 runs are complete`."""
    done, of = survey.count("done"), len(survey.cells)
    counted = f"{done} of {of} runs are complete and valid"
    if archived:
        return f"archived: {counted}"
    if survey.round.imported:
        return f"imported: {counted}"
    if done == of:
        return f"complete: {counted}"
    if survey.count("running"):
        return f"training: {counted}"
    if all(cell.state.name == "missing" for cell in survey.cells):
        return f"planned: {of} runs, none has started"
    if survey.trained or not any(cell.left for cell in survey.cells if cell.shown != "failed"):
        return f"ended with failures: {counted}"
    return f"unfinished: {counted}"


def missing(survey: Survey, left: str = "") -> str:
    """What is not complete and valid, by state, and how long the rest will take."""
    kinds = dict.fromkeys(cell.shown for cell in survey.cells if cell.shown != "done")
    if not kinds:
        return "Nothing is missing."
    parts = [f"{survey.count(kind)} {kind}" for kind in kinds]
    return f"Missing: {', '.join(parts)}." + (f" About {left} left." if left else "")


def document_table(survey: Survey, dataset: str) -> Table:
    """The document's own table of a dataset: a column per seed, mean ± std; empty cells empty."""
    seeds = sorted({cell.config.seed for cell in survey.cells})
    rows = []
    for arm in arms(survey, dataset):
        values = [f"{arm.by_seed[seed]:.2f}%" if seed in arm.by_seed else "" for seed in seeds]
        rows.append((arm.label, *values, _mean(arm)))
    label = data.spec(dataset, survey.round.files).label
    columns = ("Model / Method", *(f"Seed {seed}" for seed in seeds), "Mean ± Std")
    return Table(label, columns, tuple(rows), keys=1)


def _mean(arm: Arm) -> str:
    """As `93.20 ± 0.08%`; below three seeds there is no deviation, and FAILED where none is."""
    if arm.values:
        return f"{arm.summary.text()}%"
    failed = any(cell.shown in ("failed", "at chance", "unreadable") for cell in arm.cells)
    return "FAILED" if failed else ""


def _summary(material: Material) -> tuple[Block, ...]:
    survey = material.survey
    found = _first(material.observations, MOST_OBSERVATIONS)
    return (
        Paragraph(missing(survey, material.left), strong=True),
        grid(survey),
        *forest(material.frames, survey.round.files),
        Listing("Key observations", _items(found), empty="nothing yet"),
    )


def _first(observations: Sequence[Finding], most: int) -> list[Finding]:
    """The gravest observations; among equals the first of every dataset, then the second ones."""
    places: dict[tuple[str, str], int] = {}
    ranked: list[tuple[int, int, int, Finding]] = []
    for one in observations:
        if one.level != "note":
            place = places[one.scope, one.level] = places.get((one.scope, one.level), -1) + 1
            ranked.append((LEVELS.index(one.level), place, len(ranked), one))
    return [one for *_, one in sorted(ranked, key=lambda row: row[:3])[:most]]


def _listed(found: Iterable[Finding]) -> tuple[Item, ...]:
    """The observations of one dataset, what each lists below it."""
    return tuple(Item(one.level, f"{one.text}.", one.parts) for one in found)


def _items(found: Iterable[Finding]) -> tuple[Item, ...]:
    return tuple(Item(one.level, f"{one.scope}: {one.sentence}.") for one in found)


def _sections(material: Material) -> Iterable[Section]:
    round_, survey = material.round, material.survey
    if round_.motivation:
        yield Section("motivation", "Motivation", (Paragraph(round_.motivation.strip()),))
    yield from _changes(material)
    yield Section("configuration", "Training Configuration", (configuration(round_),))
    yield Section("matrix", "Experiment Matrix", _matrix(survey))
    yield Section("results", "Results", ())
    for dataset in round_.datasets:
        table = document_table(survey, dataset)
        notes = [Paragraph(note) for note in (*unknown_fields(survey), *footnotes(survey, dataset))]
        own = [one for one in material.observations if one.scope == dataset]
        blocks: tuple[Block, ...] = (
            table,
            *notes,
            Listing("Key observations", _listed(own), empty="none"),
        )
        yield Section(f"table {dataset}", table.title, blocks, level=3)
    yield from analysis_sections(material.workspace, survey)
    yield Section("failures", "Known Issues and Failures", _failures(material))
    yield Section("provenance", "Provenance", provenance(material.workspace, survey))
    yield Section("checklist", "Archival Checklist", (checklist(material),))


def _changes(material: Material) -> Iterable[Section]:
    if material.earlier is not None:
        table = diff_rounds(material.earlier, material.round)
        yield Section("changes", table.title, (table,))
    if material.round.known_issues:
        items = tuple(Item("issue", issue) for issue in material.round.known_issues)
        yield Section("issues", "Known issues to fix", (Listing("", items),))


def configuration(round_: Round) -> Table:
    """The recipe as a table of parameter and value."""
    recipe, loss = round_.training, round_.distillation
    images = "all" if recipe.train_images is None else f"{recipe.train_images:,}"
    rows = [
        ("Epochs", str(recipe.epochs)),
        ("Batch size", str(recipe.batch_size)),
        ("Optimizer", f"{NAMES[recipe.optimizer]} ({', '.join(_optimizer(recipe))})"),
        ("Learning rate", f"{recipe.learning_rate:g}"),
        ("LR schedule", _schedule(recipe)),
        *(
            (label, f"{value:g}")
            for label, value in (
                ("Gradients clipped to the norm", recipe.clip_grad_norm),
                ("Decay of the averaged weights (EMA)", recipe.ema_decay),
            )
            if value is not None
        ),
        ("Label smoothing", f"{recipe.label_smoothing:g}"),
        ("Augmentation", ", ".join(recipe.augmentation) or "none"),
        ("Training images", images),
        ("Precision", recipe.precision),
        ("Loss formula", FORMULAS[loss.total]),
        ("KD alpha", _alpha(round_)),
        ("Teacher", ", ".join(round_.all_teachers)),
        ("Student", ", ".join(round_.students)),
    ]
    return Table("Training configuration", ("Parameter", "Value"), tuple(rows))


def _alpha(round_: Round) -> str:
    loss = round_.distillation
    if loss.alpha is not None:
        return f"{loss.alpha:g}"
    published = loss.total == "reference"
    return "none: each term has its published weight" if published else "of each method"


def _optimizer(recipe: Training) -> Iterable[str]:
    """The optimizer's settings that have an effect."""
    if recipe.uses("momentum"):
        yield f"momentum={recipe.momentum:g}"
    if recipe.uses("betas"):
        yield f"betas={recipe.betas[0]:g} and {recipe.betas[1]:g}"
    yield f"weight_decay={recipe.weight_decay:g}"
    if not recipe.decay_norms_and_biases:
        yield "none on norms and biases"


def _schedule(recipe: Training) -> str:
    if recipe.schedule != "step":
        return recipe.schedule
    after = ", ".join(map(str, recipe.milestones))
    return f"step (times {recipe.step_factor:g} after epochs {after})"


def _matrix(survey: Survey) -> tuple[Block, ...]:
    round_ = survey.round
    teachers = ", ".join(round_.all_teachers)
    rows = (
        ("Datasets", ", ".join(round_.datasets)),
        ("Methods", ", ".join(round_.methods)),
        ("Seeds", ", ".join(map(str, round_.seeds))),
        ("Models", f"Teacher={teachers}, Student={', '.join(round_.students)}"),
        *((f"Sweep of {axis}", ", ".join(map(str, v))) for axis, v in round_.sweep.items()),
        ("Runs", f"{len(survey.cells)}"),
    )
    return (Table("Experiment matrix", ("Axis", "Values"), rows),)


def _failures(material: Material) -> tuple[Block, ...]:
    place = material.workspace.experiments
    _, listing, _ = diagnosed(f"round {material.round.round}", material.cases, place)
    return (listing,)


def checklist(material: Material) -> Checklist:
    """The document's archival checklist; each tick is read from the files."""
    survey, archive = material.survey, archive_of(material.workspace, material.round.round)
    started = [cell for cell in survey.cells if cell.state.name == "done"]
    blank = archive.workspace.experiments
    return Checklist(
        (
            Task(
                "Fill in all accuracy tables above",
                bool(started) and survey.trained,
            ),
            Task(
                f"Move experiments/ into analysis/experiment_{archive.name}/experiments/",
                archive.experiments.is_dir(),
            ),
            Task(
                "Create new blank experiments/ directory",
                archive.experiments.is_dir() and _blank(blank),
            ),
            Task(
                "Extract representations (stillhouse extract)",
                bool(started) and all(map(_extracted, started)),
            ),
            Task(
                "Generate figures (stillhouse analyze)",
                any((archive.path / "figures").glob("*.png")),
            ),
            Task(
                "Move round file, components, commands and outputs into this directory",
                (archive.path / "commands.txt").is_file(),
            ),
        )
    )


def _blank(experiments: Path) -> bool:
    return experiments.is_dir() and not any(experiments.iterdir())


def _extracted(cell: Cell) -> bool:
    return (cell.folder.path / "representations.safetensors").is_file()


def _run_sections(material: Material) -> Iterable[RunSection]:
    cases = {case.path: case for case in material.cases}
    for cell in material.survey.cells:
        yield run_section(cell, cases.get(cell.config.path), material)
