"""A Digits round through `cluster submit` on a real scheduler, while everything is disturbed.

    python tests/cluster/end_to_end.py slurm    needs root and Debian (see slurm.sh)
    python tests/cluster/end_to_end.py pbs      needs an OpenPBS server with a queue gpu_1

At the end every run is complete and bit-identical to a round trained by `stillhouse run`, no run
had two writers, and no job was lost or doubled; the last line counts the runs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import yaml
from backends import BACKENDS, OpenPBS, Slurm

from stillhouse.runs.folder import RunFolder

REPOSITORY = Path(__file__).parents[2]
CAP = 3
SUBMIT_SECONDS = 4.0
HARM_TURNS = 3
# As cron would call it: no terminal, and nothing in the environment but where the package is.
BARE = {"PATH": "/usr/bin:/bin:/usr/sbin:/opt/pbs/bin", "PYTHONPATH": str(REPOSITORY / "src")}


def stillhouse(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stillhouse", *map(str, words)],
        env=BARE, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip


class Arena:
    """A workspace, the scheduler it submits to, and what was seen of both."""

    def __init__(self, root: Path, backend: Slurm | OpenPBS, options: argparse.Namespace) -> None:
        self.root, self.backend, self.options = root, backend, options
        self.random = Random(options.seed)
        self.round = write_round(root / "round.yaml", options)
        self.site = write_site(root / "site.toml", backend, options)
        self.seen: dict[str, str] = {}
        self.suspended: set[str] = set()
        self.most = 0
        self.counts: Counter[str] = Counter()

    # --- what is done to it -----------------------------------------------------------------

    def submit(self, at_once: int = 1) -> None:
        command = [sys.executable, "-m", "stillhouse", "cluster", "submit", str(self.round)]
        command += ["--site", str(self.site), "--root", str(self.root)]
        passes = [
            subprocess.Popen(
                command, env=BARE, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )
            for _ in range(at_once)
        ]  # fmt: skip
        for one in passes:
            said = one.communicate()[0]
            self.counts["passes"] += 1
            if one.returncode != 0:
                self.counts["passes that found the scheduler down"] += 1
                assert "could not be listed" in said or "no answer" in said, said

    def retry_stuck(self) -> None:
        """What a person does about a run that a suspension has made stuck: counted, and rare."""
        shown = stillhouse("status", self.round, "--root", self.root)
        if "stuck: " in shown.stdout or "gone before" in shown.stdout:
            stillhouse("retry", self.round, "--failed", "--root", self.root)
            self.counts["retries of stuck runs"] += 1

    def kill_a_pass(self) -> None:
        """SIGKILL to a submitting pass at a random moment."""
        command = [sys.executable, "-m", "stillhouse", "cluster", "submit", str(self.round)]
        command += ["--site", str(self.site), "--root", str(self.root)]
        one = subprocess.Popen(command, env=BARE, stdout=subprocess.DEVNULL)
        time.sleep(self.random.uniform(0.8, 2.0))
        one.kill()
        one.wait()
        # Its lock would be broken after three minutes; the test has no time for that.
        for lock in (self.root / "experiments" / "jobs").glob("lock*"):
            lock.unlink(missing_ok=True)

    def disturb(self, kind: str) -> bool:
        """Do one kind of harm; whether there was something to harm.

        A suspended job is left alone, so that the scheduler kills it when its walltime is over.
        """
        listed = (self.backend.listing() or {}).items()
        jobs = [id for id, name in listed if name in self.ours() and id not in self.suspended]
        if kind == "restart":
            self.backend.restart()
        elif kind == "killed pass":
            self.kill_a_pass()
        elif kind in ("cancel", "requeue"):
            if not jobs:
                return False
            getattr(self.backend, kind)(self.random.choice(jobs))
        elif not self.signal_a_worker(kind):
            return False
        self.counts[kind] += 1
        return True

    def signal_a_worker(self, kind: str) -> bool:
        """Kill or suspend a training process; whether there was one."""
        workers = self.workers()
        try:
            pid = self.random.choice(workers)
            if kind == "suspend":
                self.suspended.add(job_of(pid))
            os.kill(pid, {"kill": signal.SIGKILL, "suspend": signal.SIGSTOP}[kind])
        except (IndexError, FileNotFoundError, ProcessLookupError):  # none, or it has ended since
            return False
        return True

    def workers(self) -> list[int]:
        """The training processes of this workspace that are not suspended."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
                state = (process / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if b"train" in words and str(self.root).encode() in words and state != "T":
                found.append(int(process.name))
        return found

    # --- what is seen -----------------------------------------------------------------------

    def ours(self) -> set[str]:
        return {
            json.loads(job.read_text())["name"]
            for job in (self.root / "experiments" / "jobs").glob("*/job.json")
        }

    def look(self) -> None:
        """Note which jobs there are; a listing that fails is no news."""
        listed = self.backend.listing()
        if listed is not None:
            mine = {id: name for id, name in listed.items() if name.startswith("kd")}
            self.seen |= mine
            self.most = max(self.most, len(mine))

    def done(self) -> int:
        return len(list((self.root / "experiments").glob("Digits/**/result.json")))

    def copy(self) -> None:
        """Pull the results as to a laptop, and look at them there."""
        laptop = self.root / "laptop"
        command = ["rsync", "-a", "--exclude=*.pt", f"{self.root}/experiments", str(laptop)]
        pulled = subprocess.run(command, capture_output=True, text=True, check=False)
        assert pulled.returncode in (0, 24), pulled.stderr  # 24: files vanished meanwhile
        for command in ("status", "table"):
            shown = stillhouse(command, self.round, "--root", laptop)
            assert shown.returncode == 0, shown.stderr
            assert "a copy: its newest sign of life is" in shown.stdout, shown.stdout
        self.counts["copies looked at"] += 1


def job_of(pid: int) -> str:
    """The id of the job that a process belongs to."""
    text = Path(f"/proc/{pid}/environ").read_text()
    variables = dict(entry.split("=", 1) for entry in text.split("\0") if "=" in entry)
    return variables.get("SLURM_JOB_ID") or variables["PBS_JOBID"]


def write_round(path: Path, options: argparse.Namespace) -> Path:
    fields = yaml.safe_load((REPOSITORY / "rounds" / "digits.yaml").read_text())
    fields["seeds"] = list(range(options.seeds))
    # Half the images: on two cores most of a 20 s job is the start of Python.
    fields["training"] |= {"epochs": options.epochs, "train_images": 700}
    # Pretraining is not resumed in its middle, so it has to fit into one job.
    fields["overrides"]["methods"]["factor_transfer"]["paraphraser_epochs"] = 5
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(fields, sort_keys=False))
    return path


def write_site(path: Path, backend: Slurm | OpenPBS, options: argparse.Namespace) -> Path:
    walltime = max(backend.shortest_walltime, options.own_seconds + 10)
    path.write_text(
        f'scheduler = "{backend.name}"\nqueue = "{backend.queue}"\ncap = {CAP}\ngrace = 15\n'
        f"margin = {walltime - options.own_seconds}\n"
        f"[resources]\ncpus = 1\nmemory_gb = 4\nwalltime = {walltime}\n"
        f'[environment.variables]\nPYTHONPATH = "{REPOSITORY / "src"}"\nOMP_NUM_THREADS = "1"\n'
    )
    return path


SLOW_HARM = ["suspend"] * 3  # each holds a slot until the walltime is over, so they come first
HARM = [
    *["cancel"] * 4, *["kill"] * 4, *["requeue"] * 3, *["restart"] * 2, *["killed pass"] * 3,
]  # fmt: skip


def shuffled(arena: Arena, kinds: list[str]) -> list[str]:
    return arena.random.sample(kinds, len(kinds))


def play(arena: Arena, runs: int, minutes: float) -> None:
    """Submit every few seconds and do harm in between until every run is done."""
    # Each kind comes once before any comes again: on a fast machine the round is over before the
    # last of them.
    kinds = sorted(set(HARM))
    again = list((Counter(HARM) - Counter(kinds)).elements())
    harm = SLOW_HARM + shuffled(arena, kinds) + shuffled(arena, again)
    ends = time.monotonic() + 60 * minutes
    turn, due = 0, HARM_TURNS
    while arena.done() < runs:
        assert time.monotonic() < ends, f"{arena.done()} of {runs} runs after {minutes} minutes"
        began = time.monotonic()
        turn += 1
        arena.submit(at_once=10 if turn % 15 == 1 else 1)
        arena.look()
        if turn >= due and (done := next(filter(arena.disturb, harm), None)):
            harm.remove(done)
            due = turn + HARM_TURNS
            print("harm:", done, flush=True)
        if turn % 25 == 20:
            arena.copy()
            arena.retry_stuck()
        while time.monotonic() < began + SUBMIT_SECONDS:
            time.sleep(0.5)
            arena.look()
        print(f"{time.monotonic() - ends + 60 * minutes:4.0f} s: {arena.done()} done", flush=True)
    arena.submit()
    while arena.backend.listing():
        time.sleep(1)
    time.sleep(1)
    arena.submit()
    missed = {*HARM, *SLOW_HARM} - set(arena.counts)
    assert not missed, f"the round was over before any {missed}"


def records(folder: Path) -> list[dict[str, Any]]:
    file = RunFolder(folder).metrics()  # not moved up yet if the job was killed at that moment
    assert file, folder
    lines = map(json.loads, file.read_text().splitlines())
    return [{key: value for key, value in one.items() if key != "time"} for one in lines]


def check_same(arena: Arena, local: Path) -> int:
    """How many runs have the weights and metrics of the local round, bit for bit."""
    same = 0
    for result in sorted(local.glob("experiments/Digits/**/result.json")):
        other = arena.root / result.relative_to(local)
        ours, theirs = json.loads(other.read_text()), json.loads(result.read_text())
        assert ours["weights"] == theirs["weights"], other
        assert records(other.parent) == records(result.parent), other
        same += 1
    return same


def check_writers(arena: Arena) -> int:
    """No attempt wrote after its successor was claimed; the number of attempts."""
    attempts = 0
    for folder in arena.root.glob("experiments/Digits/**/attempts"):
        ordered = sorted(folder.glob("[0-9]*"))
        attempts += len(ordered)
        for one, following in pairwise(ordered):
            last = max((one / name).stat().st_mtime for name in ("status.json", "train.log")
                       if (one / name).exists())  # fmt: skip
            assert last <= (following / "claim.json").stat().st_mtime, f"two writers: {one}"
    return attempts


def check_jobs(arena: Arena) -> Counter[str]:
    """Every job seen in the queue has one record and every record one job; how they ended."""
    ids, endings = {}, Counter()
    for folder in sorted((arena.root / "experiments" / "jobs").glob("[0-9]*")):
        name = json.loads((folder / "job.json").read_text())["name"]
        ending = json.loads((folder / "ending.json").read_text())
        endings[ending["outcome"] + (" (walltime)" if "walltime" in ending["reason"] else "")] += 1
        if ending["outcome"] != "unsent":
            ids[ending["id"]] = name
    assert len(set(ids.values())) == len(ids)
    unknown = {id: name for id, name in arena.seen.items() if ids.get(id) != name}
    assert not unknown, f"jobs without a record: {unknown}"
    assert arena.most <= CAP, f"{arena.most} jobs at once"
    return endings


def killed_by_walltime(arena: Arena) -> int:
    words = re.compile(r"DUE TO TIME LIMIT|walltime \d+ exceeded limit")
    outputs = (arena.root / "experiments" / "jobs").glob("*/output.txt")
    return sum(bool(words.search(one.read_text(errors="replace"))) for one in outputs)


def test(backend: Slurm | OpenPBS, options: argparse.Namespace) -> None:
    root = Path(tempfile.mkdtemp(prefix="stillhouse-cluster-"))
    began = time.monotonic()
    arena = Arena(root / "cluster", backend, options)
    local = stillhouse("run", arena.round, "--root", root / "local", "--jobs", "2")
    assert local.returncode == 0, local.stdout + local.stderr
    runs = len(list((root / "local").glob("experiments/Digits/**/result.json")))
    print(f"{runs} runs trained locally in {time.monotonic() - began:.0f} s", flush=True)
    play(arena, runs, options.minutes)
    same = check_same(arena, root / "local")
    attempts, endings = check_writers(arena), check_jobs(arena)
    tables = [
        stillhouse("table", arena.round, "--root", root / one, "--format", "json").stdout
        for one in ("local", "cluster")
    ]
    assert json.loads(tables[0])["rows"] == json.loads(tables[1])["rows"]
    print(f"bit-identical to the local round: {same}; attempts: {attempts}, no two at once")
    print("disturbed:", ", ".join(f"{count} {kind}" for kind, count in arena.counts.items()))
    print("jobs:", ", ".join(f"{count} {outcome}" for outcome, count in endings.items()))
    killed = killed_by_walltime(arena)
    print(f"killed by the scheduler at the walltime: {killed}; most in the queue: {arena.most}")
    assert killed >= 1
    print(f"{time.monotonic() - began:.0f} s in all")
    shutil.rmtree(root)
    print(f"{same} of {runs}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("scheduler", choices=BACKENDS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--own-seconds", type=int, default=20, help="A job's own deadline.")
    parser.add_argument("--minutes", type=float, default=11, help="At most, for the cluster part.")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    backend = BACKENDS[options.scheduler]()
    backend.start()
    try:
        test(backend, options)
    finally:
        backend.stop()


if __name__ == "__main__":
    main()
