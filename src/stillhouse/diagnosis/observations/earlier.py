"""What a round says beside the earlier round that it names in `compares_to`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from stillhouse.config.schema import PURE
from stillhouse.diagnosis.finding import Finding
from stillhouse.exchange.published import PublishedResult, read_results, results_file
from stillhouse.rounds.survey import Survey
from stillhouse.stats.arms import Arm, Which, arms
from stillhouse.stats.differentiation import Differentiation, differentiation
from stillhouse.stats.wording import is_p


def beside_earlier(survey: Survey, file: Path, which: Which) -> Iterator[Finding]:
    """MORE-DIFFERENTIATED, per dataset: the spread between the arms against that of the seeds.

    The earlier round's results are `NAME_results.csv` beside the round file. Without that file,
    or a dataset of which both rounds show a spread, there is nothing to say.
    """
    earlier = survey.round.compares_to
    path = results_file(file.with_name(f"{earlier}.yaml"))
    if earlier is None or not path.is_file():
        return
    published = read_results(path)
    for dataset in survey.round.datasets:
        theirs = _values(row for row in published if row.dataset == dataset)
        students = [arm for arm in arms(survey, dataset, which) if arm.role != "teacher"]
        published_methods = {method for method, *_ in theirs}
        common = [arm for arm in students if arm.values and arm.method in published_methods]
        ours = differentiation([arm.values for arm in common])
        shared = {arm.method for arm in common}
        before = differentiation([own for (method, *_), own in theirs.items() if method in shared])
        if ours and before:
            yield _sentence(dataset, common, ours, earlier, before)


def _values(rows: Iterable[PublishedResult]) -> dict[tuple[str, str, str | None], list[float]]:
    """The accuracies of the completed students by method, network and teacher.

    Pure runs of a network that no method trains are those of a teacher.
    """
    found: dict[tuple[str, str, str | None], list[float]] = {}
    for row in rows:
        if row.status == "completed" and row.accuracy is not None:
            found.setdefault((row.method, row.model, row.teacher), []).append(row.accuracy)
    students = {model for method, model, _ in found if method != PURE}
    return {key: values for key, values in found.items() if key[1] in students}


def _sentence(
    dataset: str,
    common: Sequence[Arm],
    ours: Differentiation,
    earlier: str,
    before: Differentiation,
) -> Finding:
    """One sentence with both rounds' numbers."""
    word = "More" if ours.more_than(before) else "Not more"
    text = (
        f"{word} differentiated than round {earlier}: the means of {ours.arms} arms spread by "
        f"{ours.between:.2f} points (sd) and the seeds of an arm by {ours.within:.2f}, a ratio of "
        f"{ours.ratio:.1f} (p {is_p(ours.p)}); in {earlier} {before.between:.2f} and "
        f"{before.within:.2f}, a ratio of {before.ratio:.1f} (p {is_p(before.p)})"
    )
    runs = tuple(cell.config.path for arm in common for cell in arm.valid)
    return Finding("more-differentiated", scope=dataset, text=text, runs=runs)
