"""Damaged and hostile folders: one bad record costs that record, and nothing else."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from script_records import (
    SOUND,
    ScriptRounds,
    bring_in,
    look,
    printed,
    sound_rounds,
    sound_runs_are_whole,
)
from stillhouse.errors import RunError
from stillhouse.exchange.scripts.summary import import_table
from stillhouse.exchange.scripts.write import import_round
from stillhouse.show.status import status_table
from stillhouse.tables import Format, render

Hostile = Callable[[Path], object]

VICTIM = "Cifar10/pure/ResNet56/2"
DIGITS = "9" * 5000


def change(file: str, **fields: object) -> Hostile:
    def apply(run: Path) -> None:
        path = run / file
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return apply


def put(file: str, text: str) -> Hostile:
    return lambda run: (run / file).write_text(text)


def unfinished(text: str) -> Hostile:
    """A run in progress whose log is `text`."""

    def apply(run: Path) -> None:
        (run / "metrics.json").unlink()
        (run / "status.json").write_text(json.dumps({"status": "in_progress", "epoch": 1}))
        (run / "logs").write_text(text)

    return apply


def instead(file: str, make: Hostile) -> Hostile:
    def apply(run: Path) -> None:
        (run / file).unlink()
        make(run / file)

    return apply


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(40 << 30)


def setting(name: str, value: object) -> Hostile:
    return change("status.json", config={name: value})


def bind(path: Path) -> None:
    """A socket; bound from its folder, for a socket's path must be short."""
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(here)


NESTED = "[" * 200_000
LONG = json.dumps({name: [1.0] * 10_001 for name in ("train_loss", "train_acc", "test_loss")})
LONG = LONG[:-1] + f', "test_acc": {[1.0] * 10_001}}}'
MANY = "\n".join(
    f"Epoch {n % 100}\nTRAIN | Loss: 1 | Acc: 2 |\nTEST | Loss: 1 | Acc: 2 |" for n in range(10_002)
)
NO_EPOCHS = "Epoch 1\n" + "TRAIN | Loss: x | Acc: 2 |\n" * 5000

RECORDS: dict[str, tuple[Hostile, str]] = {
    "pipe": (instead("logs", os.mkfifo), "logs: not a plain file"),
    "socket": (instead("errors", bind), "errors: not a plain file"),
    "open pipe": (
        instead("logs", lambda path: path.symlink_to("/proc/self/fd/0")),
        "logs: a link, which is not followed",
    ),
    "device": (
        instead("status.json", lambda path: path.symlink_to("/dev/zero")),
        "status.json: a link, which is not followed",
    ),
    "link out of the source": (
        lambda run: (run / "notes").symlink_to("/etc"),
        "notes: a link, which is not followed",
    ),
    "sparse metrics": (instead("metrics.json", sparse), "metrics.json: 42,949,672,960 bytes"),
    "sparse file": (lambda run: sparse(run / "core"), "core: 42,949,672,960 bytes"),
    "sparse weights": (lambda run: sparse(run / "best.pth"), "best.pth: 42,949,672,960 bytes"),
    "folder as a file": (instead("metrics.json", Path.mkdir), "metrics.json: a folder"),
    "bytes in the settings": (unfinished("{'a': b'x'}\n"), "logs: config: a is b'x'"),
    "list as a key": (unfinished("{'a': 1, []: 2}\n"), "logs:1: not a dictionary"),
    "number as a key": (unfinished("{'a': 1, 2: 2}\n"), "logs: config: 2 is 2"),
    "deep settings": (unfinished("{'a': " + NESTED + "}"), "logs:1: not a dictionary"),
    "NaN in the settings": (setting("decay", float("nan")), "config: decay is nan"),
    "infinity in the settings": (setting("decay", float("inf")), "config: decay is inf"),
    "deep setting": (setting("tree", json.loads("[" * 50 + "]" * 50)), "config: tree is [[[["),
    "long setting": (setting("text", "x" * 20_000), "config: text is 'xxx"),
    "half a character": (setting("text", "\ud800"), "config: text is '\\ud800'"),
    "many settings": (
        change("status.json", config={str(n): n for n in range(2000)}),
        "config: 2,000 fields",
    ),
    "deep status": (change("status.json", more=json.loads("[" * 500 + "]" * 500)), "more is [[[["),
    "a status of 5,000 letters": (change("status.json", status="x" * 5000), "status is 'xxx"),
    "an epoch of 400 digits": (change("status.json", epoch=1e300), "epoch is 1e+300"),
    "5,000 digits in JSON": (put("status.json", f'{{"epoch": {DIGITS}}}'), "status.json: not"),
    "a loss of 400 digits": (
        change("metrics.json", train_loss=[10**400, 1.0]),
        "metrics.json: train_loss is not a list of numbers",
    ),
    "epoch of 5,000 digits": (unfinished(f"Epoch {DIGITS}\n"), "logs:1: not an epoch up to 10,000"),
    "seconds of 5,000 digits": (
        unfinished(f"Total execution time: {DIGITS} seconds\n"),
        "logs:1: not a number of seconds",
    ),
    "resumed at 5,000 digits": (
        unfinished(f"Resuming from epoch {DIGITS}, max_acc=1.2%\n"),
        "logs:1: not an epoch up to 10,000",
    ),
    "accuracy 1.2.3": (
        unfinished("Resuming from epoch 3, max_acc=1.2.3%\n"),
        "logs:1: not a percentage",
    ),
    "impossible date": (unfinished("Fri Feb 31 14:24:15 SAST 2026\n"), "logs:1: not a date"),
    "impossible time": (unfinished("Fri Feb 20 25:61:61 SAST 2026\n"), "logs:1: not a date"),
    "JSON nested 200,000 deep": (put("metrics.json", NESTED), "metrics.json: not readable"),
    "10,001 epochs of metrics": (put("metrics.json", LONG), "10,001 epochs"),
    "10,002 epochs in a log": (unfinished(MANY), "logs: more than 10,000 epochs"),
    "5,000 lines that are no epochs": (
        unfinished(NO_EPOCHS),
        "logs: 4,980 more lines",
    ),
    "alpha 1": (setting("alpha", -1), "config: alpha is -1, expected a number"),
    "temperature 0": (setting("temperature", 0), "config: temperature is 0, expected a number"),
    "teacher of 5,000 digits": (
        setting("teacher_weights", f"/pure/a/{DIGITS}/"),
        "teacher_weights",
    ),
}

FOLDERS = {
    "Cifar10/rkd/alpha_0.9999999999999999999/ResNet112_to_ResNet56/0": "below 1",
    "Cifar10/rkd/alpha_0.12345678/ResNet112_to_ResNet56/0": "at most six digits",
    "Cifar10/rkd/alpha_7/ResNet112_to_ResNet56/0": "below 1",
    f"Cifar10/pure/ResNet56/{'9' * 200}": "expected a seed of at most 9 digits",
    "Cifar10/pure/ResNet56/\u0663": "expected a seed of at most 9 digits",
    "Cifar10/pure/\x1b[2J/0": "is unknown",
}


@pytest.fixture
def scripts(tmp_path: Path) -> Iterator[ScriptRounds]:
    """Three sound runs."""
    found = sound_rounds(tmp_path / "source")
    yield found
    # Folders may be deeper than Python's own removal can follow.
    subprocess.run(["rm", "-rf", str(found.root)], check=True)


@pytest.mark.parametrize("name", RECORDS)
def test_a_bad_record_costs_that_record(scripts: ScriptRounds, name: str) -> None:
    spoil, said = RECORDS[name]
    spoil(scripts.run(VICTIM, [52.0, 62.0]))
    done = bring_in(scripts)
    sound_runs_are_whole(done)
    assert any(path == VICTIM and said in note for path, note in done.notes), done.notes
    assert "1 of 4 runs have remarks:" in printed(done)


@pytest.mark.parametrize("folder", FOLDERS, ids=[text.encode().hex()[-12:] for text in FOLDERS])
def test_a_bad_folder_name_costs_that_folder(scripts: ScriptRounds, folder: str) -> None:
    (scripts.root / "experiments" / folder).mkdir(parents=True)
    done = bring_in(scripts)
    sound_runs_are_whole(done)
    ((path, why),) = done.unmapped
    assert path == folder and FOLDERS[folder] in why


def test_a_weight_that_no_round_file_takes_costs_that_run(scripts: ScriptRounds) -> None:
    path = "Cifar10/logit/ResNet112_to_ResNet56/0"
    scripts.run(path, [70.0], config={"alpha": 1.0})
    done = bring_in(scripts)
    sound_runs_are_whole(done)
    ((unmapped, why),) = done.unmapped
    assert (unmapped, "recorded alpha 1" in why) == (path, True)
    assert (done.kept / path / "status.json").is_file()


@pytest.mark.parametrize("digits", [12, 5000])
def test_a_walltime_of_many_digits_is_no_number_of_seconds(
    scripts: ScriptRounds, digits: int
) -> None:
    run = scripts.run(VICTIM)
    put("logs", "Epoch 0\n")(run)
    put("errors", f"PBS: job killed: walltime {'9' * digits} exceeded limit 1\n")(run)
    done = bring_in(scripts)
    sound_runs_are_whole(done)
    assert done.runs[VICTIM].state == "lost"


@pytest.mark.parametrize(
    ("folder", "why"),
    [
        ("Cifar10/logit/ResNet56_to_ResNet20/0", "its teacher is ResNet112; import such folders"),
        ("Cifar10/rkd/alpha_0.25/ResNet112_to_ResNet56/0", None),
    ],
)
def test_an_empty_folder_of_another_design_costs_no_run(
    scripts: ScriptRounds, folder: str, why: str | None
) -> None:
    """A teacher that no other run has, the first level of a sweep."""
    for seed in (0, 1):
        scripts.run(f"Cifar10/logit/ResNet112_to_ResNet56/{seed}", [70.0])
    (scripts.root / "experiments" / folder).mkdir(parents=True)
    done = bring_in(scripts)
    sound_runs_are_whole(done)
    states = [found.state for path, found in done.runs.items() if "/logit/" in path]
    assert states == ["finished", "finished"]
    assert [path for path, _ in done.unmapped] == ([folder] if why else [])
    assert all(why in text for _, text in done.unmapped if why)


def test_folders_3000_deep(scripts: ScriptRounds) -> None:
    deep = scripts.root / "experiments"
    here = os.open(deep, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    done = bring_in(scripts)
    sound_runs_are_whole(done)
    ((path, why),) = done.unmapped
    assert path == "/".join("d" * 33) and "more than 32 folders deep" in why


def test_links_out_of_the_source_are_named_and_not_followed(
    scripts: ScriptRounds, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere/0").mkdir(parents=True)
    (tmp_path / "elsewhere/0/secret").write_text("private")
    (scripts.root / "experiments/Cifar10/pure/ResNet20").symlink_to(tmp_path / "elsewhere")
    (scripts.root / "experiments/notes.txt").symlink_to(tmp_path / "elsewhere/0/secret")
    (scripts.root / "experiments" / SOUND[0] / "notes").symlink_to(tmp_path / "elsewhere/0/secret")
    done = bring_in(scripts)
    sound_runs_are_whole(done)
    link = "a link, which is not followed"
    assert done.unmapped == (("Cifar10/pure/ResNet20", link), ("notes.txt", link))
    assert done.notes == ((SOUND[0], f"notes: {link}"),)
    files = [path for path in done.file.parent.rglob("*") if path.is_file()]
    assert not [path for path in files if b"private" in path.read_bytes()]


def test_a_linked_experiments_folder_is_refused_with_the_cure(
    scripts: ScriptRounds, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/experiments").symlink_to(scripts.root / "experiments")
    with pytest.raises(RunError, match="is a link") as raised:
        import_round(tmp_path / "other", "earlier", tmp_path / "earlier")
    assert "PATH" in raised.value.hint


def test_a_source_whose_name_is_no_text(scripts: ScriptRounds) -> None:
    odd = scripts.root.with_name("so\udcffurce")
    scripts.root.rename(odd)
    done = import_round(odd, "earlier", odd.parent / "earlier")
    sound_runs_are_whole(done)
    assert done.round.imported is not None and done.round.imported.source.endswith("so\ufffdurce")
    subprocess.run(["rm", "-rf", os.fsencode(odd)], check=True)


def test_escape_sequences_never_reach_the_terminal(scripts: ScriptRounds) -> None:
    """Of logs, of the scheduler's words and of file names, through every format of a table."""
    run = scripts.run(VICTIM, status={"status": "in\x1b[2Jprogress", "epoch": 1})
    (run / "logs").write_text("Epoch 0\nTRAIN | Loss: \x1b]0;x\x07 | Acc: \x9b31m |\n")
    (run / "errors").write_text("\x1b[31mslurmstepd: error: CANCELLED \u202e DUE TO TIME LIMIT\n")
    (run / "no\x1b[2Jtes").symlink_to("/etc")
    (scripts.root / "experiments/a\x1b[2J\u202eb").write_text("")
    (scripts.root / "experiments/not\udcfftext").write_text("")
    done = bring_in(scripts)
    sound_runs_are_whole(done)
    for table in (import_table(done), status_table(look(done))):
        for format in Format:
            text = render(table, format)
            assert all(line.isprintable() for line in text.splitlines())
            text.encode()
    assert "CANCELLED ? DUE TO TIME LIMIT" in printed(done)


def test_control_characters_of_errors_and_logs_are_not_printed(tmp_path: Path) -> None:
    """Through the command line, where a file's name is part of an error."""
    folder = tmp_path / "a\x1b[2Jb"
    line = [sys.executable, "-m", "stillhouse", "import", str(folder), "--as", "x"]
    ended = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert ended.returncode == 1
    assert "a?[2Jb is not a folder\n  hint: give the folder above experiments/" in ended.stderr
