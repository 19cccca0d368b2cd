"""Open a round for submission: everything that is checked before the first job."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from stillhouse import __version__, data
from stillhouse.cluster.policy import Terms
from stillhouse.cluster.scheduler import QueueError, Scheduler, no_listing
from stillhouse.cluster.script import Workplace
from stillhouse.cluster.site import find_site, load_site
from stillhouse.cluster.store import Store
from stillhouse.cluster.submit import Submitter
from stillhouse.config.expand import expand
from stillhouse.rounds.find import open_round
from stillhouse.rounds.survey import select, survey_round
from stillhouse.rounds.teacher_files import import_teachers
from stillhouse.rounds.workspace import Workspace


def open_submitter(
    root: Path,
    name: str,
    site_name: str,
    cohorts: bool,
    runs_per_gpu: int,
    dry: bool,
    log: Callable[[str], None],
    only: str | None = None,
) -> Submitter:
    """Load round and site; if either is new or changed, check that the round can be trained.

    The check (packages, datasets, parameters, the active round) is that of `run`. It loads torch,
    as does counting the networks' operations; a repeated pass from cron does not. Unless `dry`,
    teachers from files are imported, and the round becomes the active one.
    """
    found, round_, file = open_round(root, name)
    workspace = Workspace(found.root.resolve(), found.beside)
    profile = find_site(root, site_name)
    site = load_site(profile)
    scheduler = Scheduler(site)
    if not dry and (why := no_listing(site)):
        raise QueueError(why, "submit where the scheduler is, or look at the scripts: --dry-run")
    store = Store(workspace.jobs)
    content = b"\0".join([__version__.encode(), file.read_bytes(), profile.read_bytes()])
    stamp, noted = sha256(content).hexdigest(), store.last_options()
    operations = noted.get("operations") if noted and noted["checked"] == stamp else None
    if operations is None:
        from stillhouse.rounds.check import check_round
        from stillhouse.rounds.cost import forward_operations

        images = Path(site.data) if site.data else data.data_root(None)
        check_round(workspace, round_, file, None, None if dry else images)
        operations = forward_operations(expand(round_))
        if not dry:
            import_teachers(workspace, expand(round_), images, "cpu", log)
    if not dry:
        workspace.activate(round_, file)
        store.path.mkdir(parents=True, exist_ok=True)
        store.note(
            site=str(profile),
            profile=site.model_dump(mode="json"),
            root=str(workspace.root),
            checked=stamp,
            operations=operations,
            round=round_.round,
        )
    chosen = {run.path for run in select(expand(round_), only)} if only else None
    return Submitter(
        store=store,
        scheduler=scheduler,
        terms=Terms(site, cohorts, runs_per_gpu, chosen),
        place=Workplace(file.resolve(), workspace.root),
        look=lambda: survey_round(workspace, round_),
        teachers=workspace.teachers(round_),
        operations=operations,
    )
