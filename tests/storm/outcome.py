"""What a round ends with, to be compared bit for bit, and what must not be left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from stillhouse.config.load import load_round
from stillhouse.rounds.survey import Survey, survey_round
from stillhouse.rounds.workspace import Workspace
from stillhouse.runs.files import file_hash, read_lines
from stillhouse.runs.folder import RunFolder

STAYS = {"claim.json", "status.json", "train.log"}


def look(root: Path, file: Path) -> Survey:
    """Where every run of a storm's round stands."""
    return survey_round(Workspace(root), load_round(file))


def outcome(root: Path, file: Path) -> dict[str, Any]:
    """Everything that is the same whenever the round is trained: files, epochs, tables."""
    found: dict[str, Any] = {"table": table(root, file), "pretrained": pretrained(root)}
    for cell in look(root, file).cells:
        found[cell.config.path] = of_run(cell.folder)
    return found


def of_run(folder: RunFolder) -> dict[str, Any]:
    """A completed run: hashes of its files as they are, its epochs without their times."""
    result = json.loads(folder.result.read_text())
    records = read_lines(folder.path / "metrics.jsonl")
    for record in (*records, result["final"]):
        del record["time"]
    for name in ("finished", "attempts", "metrics", "sha256"):
        del result[name]
    files = [path for path in folder.path.iterdir() if path.suffix == ".safetensors"]
    return {
        "names": sorted(path.name for path in folder.path.iterdir()),
        "files": {path.name: file_hash(path) for path in sorted(files)},
        "epochs": [record["epoch"] for record in records],
        "records": records,
        "result": result,
    }


def table(root: Path, file: Path) -> Any:
    """The round's table of accuracies."""
    command = [sys.executable, "-m", "stillhouse", "table", str(file), "--root", str(root)]
    done = subprocess.run([*command, "--format", "json"], capture_output=True, check=True)
    return json.loads(done.stdout)


def pretrained(root: Path) -> dict[str, str]:
    """Hashes of the pretrained parts."""
    files = (root / "experiments" / "pretrained").glob("*.safetensors")
    return {file.name: file_hash(file) for file in sorted(files)}


def leftovers(root: Path) -> list[str]:
    """What no process will ever remove: temporary files, and attempts' files of completed runs."""
    experiments = root / "experiments"
    found = [path for path in experiments.rglob("*") if path.name.startswith(".")]
    for attempt in experiments.glob("**/attempts/*"):
        found += [path for path in attempt.iterdir() if path.name not in STAYS]
    return sorted({str(path.relative_to(root)) for path in found})


def differences(expected: Any, found: Any, where: str = "") -> list[str]:
    """Where two outcomes differ."""
    if isinstance(expected, dict) and isinstance(found, dict):
        keys = sorted(expected.keys() | found.keys())
        return [
            line
            for key in keys
            for line in differences(expected.get(key), found.get(key), f"{where}/{key}")
        ]
    return [] if expected == found else [f"{where}: {str(expected)[:80]} -> {str(found)[:80]}"]
