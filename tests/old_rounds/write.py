"""Write small rounds with the stillhouse at hand, for later versions to read.

Usage: python tests/old_rounds/write.py tests/old_rounds/NAME

NAME is the commit or the version that writes. The folder is then committed and never changed: it
is what a user has on disk after an upgrade. It holds

    study/      a workspace: three finished runs, one killed in its third epoch, one failed
    imported/   a workspace with the import of two runs of scripts
    expected.json   what this version prints of them, and the weights that the killed run ends
                    with if it is never killed

Run it in a folder whose path may be published: the records hold it.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from script_records import ScriptRounds, log

KILLED = "Digits/rkd/ResNetBaby_to_own_model/0"
ROUND = """\
round: study
datasets: [Digits]
teacher: ResNetBaby
students: [own_model]
methods: [pure, {control}, rkd, nst]
seeds: [0]
files: [own_model.py]
training:
  epochs: 5
  learning_rate: 0.05
  train_images: 1280
  augmentation: [pad_crop]
  crop_padding: 1
overrides:
  methods:
    nst: {{learning_rate: 1.0e+18}}
"""


def main(target: Path, control: str) -> None:
    """Write all of it."""
    name = control.strip("'")  # quoted in YAML, where null is nothing
    target.mkdir()
    example = Path(__file__).parents[2] / "examples" / "own_model.py"
    study, other = target / "study", target / "undisturbed"
    for root in (study, other):
        root.mkdir()
        shutil.copy(example, root / "own_model.py")
        (root / "study.yaml").write_text(ROUND.format(control=control))
    stillhouse("run", "study", "--only", "method=pure", root=study)
    stillhouse("run", "study", "--only", f"method={name}", root=study)
    stillhouse("run", "study", "--only", "method=nst", root=study)
    kill_in_epoch(3, study)
    stillhouse("run", "study", "--only", "method=rkd", root=other)
    scripts = ScriptRounds(target / "scripts")
    scripts.run("Cifar10/pure/ResNet112/0", [30.0, 61.5, 60.0], log=log(0, seconds=30))
    scripts.run("Cifar10/pure/ResNet56/0", log=log(0, (30.0, 29.5), (41.0, 40.5)))
    stillhouse("import", "scripts", "--as", "earlier", root=target / "imported", cwd=target)
    undisturbed = other / "experiments" / KILLED
    expected = {
        "tables": {
            name: json.loads(stillhouse("table", name, "--format", "json", root=target / folder))
            for name, folder in (("study", "study"), ("earlier", "imported"))
        },
        "killed": {
            "run": KILLED,
            "metrics": (undisturbed / "metrics.jsonl").read_text().splitlines(),
            "final": sha256((undisturbed / "final.safetensors").read_bytes()).hexdigest(),
        },
    }
    (target / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    shutil.rmtree(other)
    shutil.rmtree(target / "scripts")


def stillhouse(*words: str, root: Path, cwd: Path | None = None) -> str:
    """What a command prints on stdout; its exit code is not looked at."""
    command = [sys.executable, "-m", "stillhouse", *words, "--root", str(root.absolute())]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, cwd=cwd)
    return done.stdout


def kill_in_epoch(epoch: int, root: Path) -> None:
    """Train the run that is to be killed, and end it without warning in its `epoch`."""
    command = [sys.executable, "-m", "stillhouse", "train", "study", KILLED]
    process = subprocess.Popen([*command, "--root", str(root.absolute())])
    status = root / "experiments" / KILLED / "attempts" / "001" / "status.json"
    while not (status.exists() and json.loads(status.read_text()).get("epoch") == epoch - 1):
        assert process.poll() is None, "it ended before it was killed"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *(sys.argv[2:] or ["ce_scaled"]))
