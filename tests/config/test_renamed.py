"""Old names stay readable: in a round file, in a run's record, in a folder's path."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from stillhouse import methods
from stillhouse.config import renamed
from stillhouse.config.expand import expand
from stillhouse.config.identity import identity
from stillhouse.config.load import load_round
from stillhouse.errors import Notice

ROUND = {
    "round": "old",
    "datasets": ["Digits"],
    "teacher": "ResNet20",
    "students": ["ResNetBaby"],
    "methods": ["pure", "null"],
    "seeds": [0],
    "overrides": {"methods": {"null": {"coefficient": 0.2}}},
    "legacy": {"null": "by another formula"},
}


def test_old_names_are_read_and_announced_with_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "old.yaml"
    file.write_text(yaml.safe_dump(ROUND, sort_keys=False))
    with pytest.warns(Notice) as notices:
        found = load_round(file)
    assert found.methods == ("pure", "ce_scaled")
    assert found.overrides.methods == {"ce_scaled": {"coefficient": 0.2}}
    assert found.legacy == {"ce_scaled": "by another formula"}
    (notice,) = notices
    expected = f"{file}: 'null' (line 9, 14, 17) is now 'ce_scaled'; both names work"
    assert str(notice.message) == expected


def test_a_renamed_method_keeps_the_identity_of_its_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "new.yaml"
    file.write_text(yaml.safe_dump(ROUND | {"methods": ["rkd"], "overrides": {}, "legacy": {}}))
    (before,) = [run for run in expand(load_round(file)) if run.method == "rkd"]
    monkeypatch.setitem(renamed.NEW_NAMES, "method", {"rkd": "relational"})
    monkeypatch.setitem(renamed.NEW_NAMES, "model", {"ResNet20": "ResNet20x"})
    after = before.model_copy(
        update={
            "method": "relational",
            "teacher": before.teacher and before.teacher.model_copy(update={"model": "ResNet20x"}),
        }
    )
    assert identity(after) == identity(before)
    paths = list(renamed.written_paths(after.path))
    assert paths[0] == after.path == "Digits/relational/ResNet20x_to_ResNetBaby/0"
    assert before.path in paths
    assert renamed.current_path(before.path) == after.path
    (tmp_path / before.path).mkdir(parents=True)
    assert renamed.folder_of(tmp_path, after.path).path == tmp_path / before.path


@pytest.mark.parametrize("text", ["", "study", "a/b", "../elsewhere", "/", "Digits/null"])
def test_what_is_no_path_of_a_run_stays_as_it_is(text: str) -> None:
    assert renamed.current_path(text) == text
    assert list(renamed.written_paths(text)) == [text]


def test_a_network_of_the_benchmark_has_one_name_in_folders_and_identities(tmp_path: Path) -> None:
    fields = ROUND | {"methods": ["rkd"], "legacy": {}, "overrides": {}}
    ours, theirs, own = (tmp_path / name for name in ("ours.yaml", "theirs.yaml", "own.yaml"))
    ours.write_text(yaml.safe_dump(fields))
    aliases = {"teacher": "resnet20", "students": ["resnet8"]}
    decay = {"overrides": {"models": {"resnet8": {"weight_decay": 0.001}}}}
    theirs.write_text(yaml.safe_dump(fields | aliases | decay))
    runs = {run.path: identity(run) for run in expand(load_round(ours))}
    others = expand(load_round(theirs))
    assert {run.path for run in others} == {*runs}
    assert {run.training.weight_decay for run in others if run.model == "ResNetBaby"} == {0.001}
    theirs.write_text(yaml.safe_dump(fields | aliases))
    assert {run.path: identity(run) for run in expand(load_round(theirs))} == runs
    (tmp_path / "resnet8.py").write_text("def build(classes, channels): ...\n")
    own.write_text(yaml.safe_dump(fields | aliases | {"files": ["resnet8.py"]}))
    assert load_round(own).students == ("resnet8",)


def test_a_file_that_had_a_name_before_a_built_in_method_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "dkd.py").write_text(
        "from stillhouse.methods.logit import Logit\n\nclass Dkd(Logit):\n    label = 'mine'\n"
    )
    file = tmp_path / "own.yaml"
    fields = ROUND | {"methods": ["dkd"], "legacy": {}, "overrides": {}, "files": ["dkd.py"]}
    file.write_text(yaml.safe_dump(fields))
    found = load_round(file)
    assert methods.names(found.files).count("dkd") == 1
    assert methods.declared("dkd", found.files).label == "mine"
    assert methods.load("dkd", found.files).label == "mine"
