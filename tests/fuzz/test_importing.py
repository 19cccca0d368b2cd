"""Damage to a source of `import`: one bad record costs that record, and nothing else."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from damaged_files import Content, another_kind, damaged, edited, fuzz, replaced
from script_records import MODULES, TRACEBACK, WALLTIME, ScriptRounds, log
from stillhouse.exchange.scripts.summary import import_table
from stillhouse.exchange.scripts.write import Import, import_round
from stillhouse.rounds.survey import survey_round
from stillhouse.rounds.workspace import Workspace
from stillhouse.show.results import seed_tables
from stillhouse.show.status import status_table
from stillhouse.tables import render

TEACHER = "Cifar10/pure/ResNet112"
PURE = "Cifar10/pure/ResNet56"
LOGIT = "Cifar10/logit/ResNet112_to_ResNet56"
NUMBERS = ("9" * 5000, "9" * 400, "-1", "nan", "inf", "1e999", "1.2.3", "", "\u0663", "1_0", "101")
PARTS = (
    *("Cifar10", "pure", "logit", "rkd", "ResNet56", "ResNet20", "ResNet112_to_ResNet56", "0", "7"),
    *("ResNet56_to_ResNet20",),
    *("alpha_1", "alpha_0.9999999999999999999", "alpha_" + "9" * 200, "alpha_nan", "9" * 200),
    *("\u0663", "-1", "...", "\x1b[2J", "a\nb", "\udcff", "x" * 255, ".hidden", "experiments"),
)
DEEP = "/".join("d" * 400)


@dataclass(frozen=True)
class Study:
    """A source with runs in every state, and what an import of it writes, by run."""

    scripts: ScriptRounds
    before: dict[str, dict[str, Any]]

    @property
    def base(self) -> Path:
        return self.scripts.root / "experiments"

    def files(self, name: str) -> list[tuple[str, Path]]:
        """Every file of that name that is not empty, and whose it is."""
        found = [(run, self.base / run / name) for run in sorted(self.before)]
        return [(run, path) for run, path in found if path.is_file() and path.stat().st_size]


@pytest.fixture(autouse=True)
def no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody cuts the power here, and thousands of imports would wait for the disk."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    scripts = ScriptRounds(tmp_path_factory.mktemp("study") / "source")
    told = log(0, (40.0, 41.0), (50.0, 51.0), seconds=60)
    running = {"status": "in_progress", "epoch": 1, "max_acc": 51.0}
    for seed in range(2):
        scripts.run(f"{TEACHER}/{seed}", [41.0 + seed, 51.0 + seed], log=told)
    scripts.run(f"{PURE}/0", [35.0, 45.0], log=told)
    scripts.run(f"{PURE}/1", status=running, log=told, errors=MODULES + WALLTIME)
    scripts.run(f"{PURE}/2", status=running, log=log(1, (50.0, 51.0)), errors=TRACEBACK)
    scripts.run(f"{LOGIT}/0", [36.0, 46.0], log=told)
    scripts.run(f"{LOGIT}/1", status={"status": "in_progress", "epoch": 0})
    done = import_round(scripts.root, "study", scripts.root.with_name("before"))
    return Study(scripts, written(done))


def written(done: Import) -> dict[str, dict[str, Any]]:
    """Every file of ours that an import wrote, by run; without what it says of the teacher."""
    found: dict[str, dict[str, Any]] = {}
    for run in done.runs:
        folder = done.file.parent / "experiments" / run
        ours = [path for path in sorted(folder.rglob("*.json*")) if "imported" not in path.parts]
        found[run] = {str(path.relative_to(folder)): path.read_text() for path in ours}
        facts = json.loads(found[run]["run.json"])
        found[run]["run.json"] = {k: facts[k] for k in facts if k not in ("teacher", "sha256")}
    return found


def bring_in(study: Study, victim: str) -> tuple[str, Import]:
    """Import and look at all of it; the outcome for the victim, in a word."""
    beside = study.scripts.root.parent
    listed = sorted(os.listdir(beside))
    target = beside / "target"
    try:
        done = import_round(study.scripts.root, "study", target)
        assert sorted(os.listdir(beside)) == sorted([*listed, "target"])
        found = written(done)
        survey = survey_round(Workspace(target), done.round)
        assert not [cell.config.path for cell in survey.cells if cell.state.name == "unreadable"]
        for table in (import_table(done), status_table(survey), *seed_tables(survey, "best")):
            text = render(table, "md")
            assert all(line.isprintable() for line in text.splitlines()), text
            render(table, "json").encode()
        assert not [path for path in target.rglob("*") if path.is_symlink()]
    finally:
        shutil.rmtree(target, ignore_errors=True)
    for run, files in study.before.items():
        if run != victim:
            assert found[run] == files, f"{run} changed"
    named = {path for path, _ in [*done.notes, *done.unmapped]}
    if found.get(victim) == study.before.get(victim):
        return "as before", done
    if victim in named:
        return "named", done
    assert victim in found, "it vanished and nothing names it"
    return "read as it stands", done


def changed_text(random: Random, content: bytes) -> bytes:
    """A text with one line gone, twice, with another number, or with characters that steer."""
    lines = content.decode().splitlines()
    index = random.randrange(len(lines))
    line = lines[index]
    match random.choice(("gone", "twice", "number", "number", "number", "steering")):
        case "gone":
            new = []
        case "twice":
            new = [line, line]
        case "number":
            found = [*re.finditer(r"\d[\d.]*", line)] or [None]
            if (spot := random.choice(found)) is not None:
                line = line[: spot.start()] + random.choice(NUMBERS) + line[spot.end() :]
            new = [line]
        case _:
            new = [random.choice(("\x1b[2J", "\x9b31m", "\u202e", "\x00", "\r", "\x85")) + line]
    return "\n".join([*lines[:index], *new, *lines[index + 1 :]]).encode()


@pytest.mark.parametrize(
    ("name", "share"), [("status.json", 110), ("metrics.json", 110), ("logs", 100), ("errors", 40)]
)
def test_a_file_of_a_run(study: Study, pytestconfig: pytest.Config, name: str, share: int) -> None:
    files = study.files(name)
    contents = [path.read_bytes() for _, path in files]
    paths = tuple(path for _, path in files)

    def case(random: Random) -> str:
        index = random.randrange(len(files))
        victim, path = files[index]
        kind = random.choice(("damaged", "edited", "edited", "kind"))
        content: Content = damaged(random, contents[index], *contents)
        if kind == "kind":
            content = another_kind(random, paths)
        elif kind == "edited" and name.endswith(".json"):
            content = edited(random, contents[index], sealed=False)
        elif kind == "edited":
            content = changed_text(random, contents[index])
        with replaced(path, content):
            irregular = path.is_symlink() or (path.exists() and not path.is_file())
            outcome, done = bring_in(study, victim)
        assert not irregular or victim in {noted for noted, _ in done.notes}
        return outcome

    fuzz(pytestconfig, f"import {name}", share, case)


def test_what_lies_between_the_runs(study: Study, pytestconfig: pytest.Config) -> None:
    """Folders and files of any name, links and pipes, in a run's folder and outside."""

    def case(random: Random) -> str:
        parts = [random.choice(PARTS) for _ in range(random.randint(1, 5))]
        if random.random() < 0.3:
            parts = [random.choice([*study.before]), *parts[:2]]
        elif random.random() < 0.1:
            parts = [*parts[:1], DEEP]
        path = study.base / "/".join(parts)
        around = [run for run in study.before if study.base / run in path.parents]
        with put(random, path) as top:
            if top is None:
                return "there already"
            irregular = path.is_symlink() or path.is_fifo()
            _, done = bring_in(study, around[0] if around else "")
        relative = top.relative_to(study.base).as_posix()
        told = [f"{run}/{note}" for run, note in [*done.notes, *done.unmapped]]
        named = any(relative in text for text in told)
        assert named or not irregular, relative
        return "named" if named else "taken in"

    fuzz(pytestconfig, "import folders", 60, case)


@contextmanager
def put(random: Random, path: Path) -> Iterator[Path | None]:
    """Something at a path for a while; the topmost of what was made, None if it is there."""
    new = [one for one in (path, *path.parents) if not os.path.lexists(one)]
    if not new:
        yield None
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    match random.choice(("file", "folder", "pipe", "link", "endless")):
        case "file":
            path.write_bytes(random.randbytes(100))
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "link":
            path.symlink_to(random.choice(("/etc", "/etc/passwd", "..", ".")))
        case _:
            path.symlink_to("/dev/zero")
    try:
        yield new[-1]
    finally:
        if new[-1].is_dir() and not new[-1].is_symlink():
            shutil.rmtree(new[-1])
        else:
            new[-1].unlink()
