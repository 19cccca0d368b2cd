"""The job script. Every name, path and value is quoted; directives hold validated words only."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from stillhouse.cluster.jobs import Request
from stillhouse.cluster.site import Site

OUTPUT = "output.txt"

BEGIN = """\
cd {folder} || exit 1
[ -e ending.json ] && exit 0  # given up as lost meanwhile: another job has these runs
rm -f ended.json
started=$(date +%s)
printf '{{"node": "%s", "time": %d}}\\n' "$(hostname)" "$started" >> starts.jsonl
until=$((started + {allowed}))"""

END = """\
code=0
for child in "${children[@]}"; do
    wait "$child"; status=$?
    while [ "$status" -gt 128 ] && kill -0 "$child" 2>/dev/null; do wait "$child"; status=$?; done
    [ "$status" -gt "$code" ] && code=$status
done
printf '{"exit": %d, "seconds": %d}\\n' "$code" "$(($(date +%s) - started))" > ended.new
mv ended.new ended.json
exit "$code\""""


@dataclass(frozen=True)
class Workplace:
    """The absolute paths in the training command of every job."""

    round: Path
    root: Path


def body(request: Request, site: Site, place: Workplace, folder: Path) -> list[str]:
    """Return the lines below the directives: record start, set up, train, forward SIGTERM, record
    end.
    """
    allowed = request.resources.walltime - site.margin
    lines = [BEGIN.format(folder=shlex.quote(str(folder)), allowed=allowed), *set_up(site)]
    lines += ["children=()", "trap 'kill -TERM \"${children[@]}\" 2>/dev/null' TERM INT"]
    if request.resources.gpus > 1:
        count = ",".join(map(str, range(request.resources.gpus)))
        lines.append(f'IFS=, read -ra gpus <<< "${{CUDA_VISIBLE_DEVICES:-{count}}}"')
    share = ceil(len(request.groups) / (request.resources.gpus or len(request.groups)))
    for slot, group in enumerate(request.groups):
        command = train_command(group, site, place, share)
        if request.resources.gpus > 1:
            card = slot % request.resources.gpus
            command = f"CUDA_VISIBLE_DEVICES=${{gpus[{card}]}} {command}"
        lines += [f"{command} &", "children+=($!)"]
    return [*lines, END]


def set_up(site: Site) -> list[str]:
    """Return the set-up lines before Python."""
    lines: list[str] = []
    if site.environment.modules:
        lines.append("command -v module > /dev/null || source /etc/profile")
    lines += [f"module load {shlex.quote(module)}" for module in site.environment.modules]
    if site.environment.activate:
        lines.append(shlex.join(["source", *site.environment.activate]))
    for name, value in site.environment.variables.items():
        lines.append(f"export {name}={shlex.quote(value)}")
    return lines


def python(site: Site) -> str:
    """Return the interpreter of the jobs: the profile's, else the submitting one."""
    return site.environment.python or sys.executable


def train_command(group: tuple[str, ...], site: Site, place: Workplace, share: int = 1) -> str:
    """Return the command that trains one group, for bash, with `until` set.

    `share` processes use its GPU.
    """
    words = [python(site), "-P", "-m", "stillhouse", "train", "--root", str(place.root)]
    if site.data:
        words += ["--data-root", site.data]
    beside = f" --share {share}" if share > 1 else ""
    runs = shlex.join([str(place.round), *group])
    return f'{shlex.join(words)} --until "$until"{beside} -- {runs}'
