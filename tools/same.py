"""Train the digits round by two versions of stillhouse on this machine and compare all weights.

Usage: python tools/same.py BASE [--fast]

BASE is a commit; the other version is the checkout that this file is in. The round has every
method that both know. With `--fast` it has one short epoch, one seed and few images. Ends with 1
if the SHA-256 of any `*.safetensors` differs, or if one version wrote a file that the other did
not.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
NAMES = "from stillhouse import methods; print(*methods.names())"
FAST = {"epochs": 1, "train_images": 256}
FAST_FACTORS = {"paraphraser_epochs": 2}


def call(source: Path, *arguments: str, most: int = 0) -> str:
    """What a Python prints that imports stillhouse from the checkout `source`.

    Raises CalledProcessError if it ends with more than `most`.
    """
    environment = {**os.environ, "PYTHONPATH": str(source / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, cwd=source)
    if not 0 <= done.returncode <= most:
        done.check_returncode()
    return done.stdout.decode()


def round_text(methods: list[str], fast: bool) -> str:
    """The digits round with these methods."""
    given = yaml.safe_load((ROOT / "rounds" / "digits.yaml").read_text())
    given["methods"] = methods
    if fast:
        given["seeds"] = [0]
        given["training"] |= FAST
        given["overrides"]["methods"]["factor_transfer"] = FAST_FACTORS
    text: str = yaml.safe_dump(given, sort_keys=False)
    return text


def weights(experiments: Path) -> dict[str, str]:
    """The SHA-256 of every file of tensors, by its path."""
    return {
        str(path.relative_to(experiments)): sha256(path.read_bytes()).hexdigest()
        for path in sorted(experiments.rglob("*.safetensors"))
    }


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What is not the same, one line a file."""
    return [
        f"{path}: {before.get(path, 'missing')[:16]} -> {after.get(path, 'missing')[:16]}"
        for path in sorted({*before, *after})
        if before.get(path) != after.get(path)
    ]


def train(source: Path, file: Path, root: Path) -> dict[str, str]:
    """Train the round in `file` by the version in `source`; its hashes."""
    # 1: a run ended at chance level, as controls may; its weights are compared like the others.
    words = ("-m", "stillhouse", "run", str(file), "--root", str(root), "--device", "cpu")
    call(source, *words, most=1)
    return weights(root / "experiments")


def main() -> int:
    """Compare; 1 if anything differs."""
    commits = [word for word in sys.argv[1:] if word != "--fast"]
    if len(commits) != 1 or not commits[0]:
        sys.stderr.write("expected one commit: make same BASE=COMMIT\n")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        old = Path(folder) / "base"
        git = ("git", "-C", str(ROOT), "worktree")
        subprocess.run([*git, "add", "--quiet", "--detach", str(old), commits[0]], check=True)
        try:
            both = set(call(old, "-c", NAMES).split()) & set(call(ROOT, "-c", NAMES).split())
            file = Path(folder) / "digits.yaml"
            file.write_text(round_text(["pure", *sorted(both - {"pure"})], "--fast" in sys.argv))
            before = train(old, file, Path(folder) / "before")
            after = train(ROOT, file, Path(folder) / "after")
        finally:
            subprocess.run([*git, "remove", "--force", str(old)], check=True)
    found = differences(before, after)
    sys.stdout.write("\n".join([*found, f"{len(before)} files of weights, {len(found)} differ\n"]))
    return int(bool(found) or not before)


if __name__ == "__main__":
    sys.exit(main())
