"""Job scripts: golden, and safe against every text."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fake_scheduler import make_site
from stillhouse.cluster.jobs import Request
from stillhouse.cluster.scheduler import Header, Scheduler
from stillhouse.cluster.script import Workplace, body
from stillhouse.cluster.site import Environment, Resources, Site, load_site

GOLDEN = Path(__file__).parent / "golden"
SITES = Path(__file__).parents[2] / "sites"
TEXT = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1)
NASTY = [
    "a b",
    "$(touch HACKED)",
    "`touch HACKED`",
    "';touch HACKED;'",
    '"',
    "\n touch HACKED\n",
    "-x",
]


def render(site: Site, request: Request, place: Workplace, folder: Path) -> str:
    header = Header("kd00042-1f3a9c", request.resources, "output.txt")
    return Scheduler(site).script(header, body(request, site, place, folder))


@pytest.mark.parametrize("name", ["pbs", "pbs-1h", "slurm"])
def test_scripts_of_the_shipped_profiles(name: str) -> None:
    environment = Environment(
        modules=("python/3.11",),
        activate=("/apps/conda/bin/activate", "my env"),
        python="python",
        variables={"HTTPS_PROXY": "http://proxy:3128"},
    )
    site = load_site(SITES / f"{name}.toml").model_copy(
        update={
            "project": "ABCD0001",
            "mail": "someone@example.org",
            "directives": ("-l place=excl",),
            "environment": environment,
            "data": "/data/my sets",
        }
    )
    runs = ("Cifar10/logit/ResNet112_to_ResNet56/0", "Cifar10/rkd/ResNet112_to_ResNet56/0")
    request = Request((runs, ("Cifar10/pure/ResNet112/1",)), site.asks("Cifar10", "ResNet56"))
    place = Workplace(Path("/home/me/beta/rounds/beta.yaml"), Path("/home/me/beta"))
    text = render(site, request, place, Path("/home/me/beta/experiments/jobs/00042"))
    assert text == (GOLDEN / f"{name}.sh").read_text()
    assert subprocess.run(["bash", "-n"], input=text.encode(), check=False).returncode == 0


def run_script(tmp_path: Path, texts: list[str], gpus: int = 0) -> tuple[list[list[str]], dict]:
    """Run a rendered script whose Python prints the words it was given."""
    folder = tmp_path / ("f " + texts[0].replace("/", "_")[:40])
    folder.mkdir(exist_ok=True)
    stub = tmp_path / "stub py"
    stub.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        f"open({str(tmp_path / 'seen')!r}, 'a').write("
        "json.dumps([sys.argv[1:], dict(os.environ)]) + '\\n')\n"
    )
    stub.chmod(0o755)
    script = tmp_path / "script.sh"
    (tmp_path / "seen").unlink(missing_ok=True)
    site = make_site(
        environment={"python": str(stub), "variables": {"VALUE": texts[1]}}, data=texts[2]
    )
    asked = Resources(walltime=600, gpus=gpus)
    request = Request(tuple((text,) for text in texts), asked)
    place = Workplace(Path("/r", texts[0]), Path("/w", texts[1]))
    script.write_text(render(site, request, place, folder))
    done = subprocess.run(
        ["bash", str(script)], cwd=tmp_path, capture_output=True, env={"PATH": "/usr/bin:/bin"},
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    seen = sorted(map(json.loads, (tmp_path / "seen").read_text().splitlines()), key=str)
    share = ["--share", "2"] if gpus else []  # three processes on two
    words = [
        ["-P", "-m", "stillhouse", "train", "--root", str(place.root), "--data-root", texts[2],
         "--until", seen[0][0][9], *share, "--", str(place.round), text]
        for text in texts
    ]  # fmt: skip
    assert sorted(one for one, _ in seen) == sorted(words)
    assert all(environment["VALUE"] == texts[1] for _, environment in seen)
    assert abs(float(seen[0][0][9]) - time.time() - (600 - 180)) < 30
    ended = json.loads((folder / "ended.json").read_text())
    assert not (tmp_path / "HACKED").exists() and not (folder / "HACKED").exists()
    return seen, ended


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(TEXT | st.sampled_from(NASTY), min_size=3, max_size=3))
def test_no_name_path_or_value_reaches_the_shell(tmp_path: Path, texts: list[str]) -> None:
    run_script(tmp_path, texts)


def test_each_process_sees_one_of_the_gpus(tmp_path: Path) -> None:
    seen, _ = run_script(tmp_path, NASTY[:3], gpus=2)
    assert sorted(environment["CUDA_VISIBLE_DEVICES"] for _, environment in seen) == ["0", "0", "1"]


def script_with(tmp_path: Path, python: str) -> Path:
    stub = tmp_path / "python"
    stub.write_text(f"#!/bin/bash\n{python}\n")
    stub.chmod(0o755)
    site = make_site(environment={"python": str(stub)})
    request = Request((("a",),), Resources(walltime=600))
    text = render(site, request, Workplace(Path("/r"), Path("/w")), tmp_path)
    (tmp_path / "script.sh").write_text(text)
    return tmp_path / "script.sh"


def test_the_exit_code_is_left_behind(tmp_path: Path) -> None:
    script = script_with(tmp_path, "exit 3")
    assert subprocess.run(["bash", str(script)], check=False).returncode == 3
    assert json.loads((tmp_path / "ended.json").read_text())["exit"] == 3
    assert json.loads((tmp_path / "starts.jsonl").read_text())["node"]


def test_a_job_that_was_given_up_does_nothing(tmp_path: Path) -> None:
    script = script_with(tmp_path, "exit 3")
    (tmp_path / "ending.json").write_text("{}")
    assert subprocess.run(["bash", str(script)], check=False).returncode == 0
    assert not (tmp_path / "starts.jsonl").exists()


def test_sigterm_is_passed_on_and_waited_for(tmp_path: Path) -> None:
    script = script_with(tmp_path, "trap 'sleep 0.3; exit 3' TERM\ntouch ready\nsleep 30 & wait")
    process = subprocess.Popen(["bash", str(script)])
    while not (tmp_path / "ready").exists():
        time.sleep(0.02)
    process.terminate()
    assert process.wait(timeout=10) == 3
    assert json.loads((tmp_path / "ended.json").read_text())["exit"] == 3
