from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from stillhouse import methods, models
from stillhouse.config.load import check_parameters, load_round
from stillhouse.config.schema import Augmentation, Training
from stillhouse.errors import ConfigError

Write = Callable[[str], Path]

GOOD = """\
round: trial
datasets: [Cifar10, SVHN]
teacher: ResNet20
students: [ResNetBaby]
methods: [pure, logit, rkd]
seeds: [0, 1]
training:
  epochs: 4
  learning_rate: 5e-2
"""
DATASETS = "Cifar10, Cifar100, SVHN, TinyImageNet, FashionMNIST, Digits"
MODELS = ", ".join(models.names())
METHODS = ", ".join(methods.names())
OWN = "; or a custom component, whose file stands under `files:` (docs/custom-components.md)"
AUGMENTATIONS = ", ".join(get_args(Augmentation))
TRAINING = ", ".join(Training.model_fields)
AXES = ", ".join(
    ["alpha", *methods.declared("logit").parameters, *methods.declared("rkd").parameters]
)
FLAT = f"{TRAINING}, total, alpha"

# What was typed instead of what, and the whole message.
MISTAKES = {
    "misspelt field": (
        ("epochs: 4", "epoch: 4"),
        "round.yaml:8: training.epoch: unknown field\n"
        f"  hint: did you mean 'epochs'? allowed: {TRAINING}",
    ),
    "field in the wrong place": (
        ("seeds: [0, 1]", "seeds: [0, 1]\nbatch_size: 64"),
        "round.yaml:7: batch_size: unknown field here\n  hint: it belongs under `training:`",
    ),
    "field forgotten": (
        ("teacher: ResNet20\n", ""),
        "round.yaml:1: teacher: this field is missing\n  hint: add `teacher: ...`",
    ),
    "choice misspelt": (
        ("epochs: 4", "schedule: cosin"),
        "round.yaml:8: training.schedule: given 'cosin'\n"
        "  hint: did you mean 'cosine'? allowed: cosine, step, constant",
    ),
    "augmentation misspelt": (
        ("epochs: 4", "augmentation:\n    - flip\n    - padcrop"),
        "round.yaml:10: training.augmentation[1]: given 'padcrop'\n"
        f"  hint: did you mean 'pad_crop'? allowed: {AUGMENTATIONS}",
    ),
    "no list": (
        ("epochs: 4", "augmentation: none"),
        "round.yaml:8: training.augmentation: given 'none'\n"
        "  hint: expected a list such as [a, b], or [] for none",
    ),
    "no is not false": (
        ("epochs: 4", "nesterov: no"),
        "round.yaml:8: training.nesterov: given 'no'\n  hint: expected true or false",
    ),
    "true is not 1.0": (
        ("5e-2", "true"),
        "round.yaml:9: training.learning_rate: given true\n  hint: expected a number",
    ),
    "nan": (
        ("5e-2", "nan"),
        "round.yaml:9: training.learning_rate: given 'nan'\n  hint: expected a number",
    ),
    "negative": (
        ("5e-2", "-1"),
        "round.yaml:9: training.learning_rate: given -1\n  hint: expected greater than 0",
    ),
    "fraction of an epoch": (
        ("epochs: 4", "epochs: 4.5"),
        "round.yaml:8: training.epochs: given 4.5\n  hint: expected a whole number",
    ),
    "seeds as a number": (
        ("[0, 1]", "3"),
        "round.yaml:6: seeds: given 3\n  hint: expected a list such as [a, b], or [] for none",
    ),
    "a seed twice": (
        ("[0, 1]", "[0, 0]"),
        "round.yaml:1: seeds has a duplicate: [0, 0]",
    ),
    "date": (
        ("seeds:", "started: 20.2.2026\nseeds:"),
        "round.yaml:6: started: given '20.2.2026'\n  hint: expected a date such as 2026-02-20",
    ),
    "number as a name": (
        ("round: trial", "round: 1e3"),
        "round.yaml:1: round: given 1000.0\n"
        "  hint: expected text (in quotes if it reads as a number, true or null)",
    ),
    "path as a name": (
        ("round: trial", "round: ../trial"),
        "round.yaml:1: round: given '../trial'\n"
        "  hint: use letters, digits, '.', '_' and '-', and begin with a letter or digit",
    ),
    "unknown dataset": (
        ("SVHN", "SHVN"),
        "round.yaml:2: datasets[1]: given 'SHVN'\n"
        f"  hint: did you mean 'SVHN'? allowed: {DATASETS}{OWN}",
    ),
    "unknown model": (
        ("teacher: ResNet20", "teacher: Resnet20"),
        "round.yaml:3: teacher: given 'Resnet20'\n"
        f"  hint: did you mean 'ResNet20'? allowed: {MODELS}; or {models.BY_LIBRARY}{OWN}",
    ),
    "unknown method": (
        ("rkd]", "rdk]"),
        "round.yaml:5: methods[2]: given 'rdk'\n"
        f"  hint: did you mean 'rkd'? allowed: {METHODS}{OWN}",
    ),
    "several at once": (
        ("epochs: 4\n  learning_rate: 5e-2", "epochs: four\n  precision: fp8"),
        "round.yaml: 2 problems\n"
        "  round.yaml:8: training.epochs: given 'four' (expected a whole number)\n"
        "  round.yaml:9: training.precision: given 'fp8' (did you mean 'fp32'? "
        "allowed: fp32, bf16, fp16)",
    ),
    "override of what is not trained": (
        ("training:", "overrides:\n  models:\n    ResNet56: {epochs: 3}\ntraining:"),
        "round.yaml:9: overrides.models.ResNet56: given 'ResNet56', which this round does not "
        "train\n  hint: did you mean 'ResNet20'? allowed: ResNet20, ResNetBaby",
    ),
    "override misspelt": (
        ("training:", "overrides:\n  datasets:\n    SVHN:\n      warmup: 3\ntraining:"),
        "round.yaml:10: overrides.datasets.SVHN.warmup: unknown field\n"
        f"  hint: did you mean 'warmup_epochs'? allowed: {FLAT}",
    ),
    "override value": (
        ("training:", "overrides:\n  datasets:\n    SVHN:\n      epochs: no\ntraining:"),
        "round.yaml:10: overrides.datasets.SVHN.epochs: given 'no'\n"
        "  hint: expected a whole number",
    ),
    "override list item": (
        ("training:", "overrides:\n  datasets:\n    SVHN: {augmentation: [crop]}\ntraining:"),
        "round.yaml:9: overrides.datasets.SVHN.augmentation[0]: given 'crop'\n"
        f"  hint: did you mean 'pad_crop'? allowed: {AUGMENTATIONS}",
    ),
    "override against the rest": (
        ("training:", "overrides:\n  models:\n    ResNet20: {warmup_epochs: 4}\ntraining:"),
        "round.yaml:7: overrides: for pure of ResNet20 on Cifar10: "
        "warmup_epochs must be smaller than epochs",
    ),
    "unknown axis": (
        ("training:", "sweep:\n  alhpa: [0.5]\ntraining:"),
        "round.yaml:8: sweep.alhpa: not an axis of this round's methods\n"
        f"  hint: did you mean 'alpha'? allowed: {AXES}",
    ),
    "alpha swept in vain": (
        ("training:", "sweep:\n  alpha: [0.25, 0.5]\ntraining:"),
        "round.yaml:8: sweep.alpha: has no effect on logit: its total is `reference`, the "
        "published one\n  hint: set `total: convex` or `total: additive` under `distillation:`",
    ),
    "alpha set in vain": (
        ("training:", "distillation:\n  alpha: 0.5\ntraining:"),
        "round.yaml:8: distillation.alpha: has no effect on logit: its total is `reference`, the "
        "published one\n  hint: set `total: convex` or `total: additive` under `distillation:`",
    ),
    "alpha out of range": (
        ("training:", "distillation: {total: convex}\nsweep:\n  alpha: [0.5, 1]\ntraining:"),
        "round.yaml:9: sweep.alpha[1]: given 1.0\n  hint: expected less than 1",
    ),
    "a sweep value twice": (
        ("training:", "distillation: {total: convex}\nsweep:\n  alpha: [0.5, .5]\ntraining:"),
        "round.yaml:9: sweep.alpha: a value occurs twice: [0.5, 0.5]\n  hint: list each value once",
    ),
    "more threads than any machine has": (
        ("epochs: 4", "threads: 1000000000"),
        "round.yaml:8: training.threads: given 1000000000\n  hint: expected at most 1,024",
    ),
    "a number of 20 digits": (
        ("epochs: 4", "epochs: 100000000000000000000"),
        "round.yaml:8: training.epochs: given 100000000000000000000\n"
        "  hint: expected at most 1,000,000",
    ),
    "a rate beyond float32": (
        ("5e-2", "1e308"),
        "round.yaml:9: training.learning_rate: given 1e+308\n  hint: expected at most 1e+30",
    ),
    "a parameter beyond float32": (
        ("training:", "overrides: {methods: {logit: {temperature: 1e308}}}\ntraining:"),
        "round.yaml:7: overrides.methods.logit.temperature: given 1e+308\n"
        "  hint: expected at most 1e+30",
    ),
    "a parameter of 20 digits": (
        ("training:", f"overrides: {{methods: {{logit: {{temperature: {10**20}}}}}}}\ntraining:"),
        f"round.yaml:7: overrides.methods.logit.temperature: given {10**20}\n"
        "  hint: expected at most 9,223,372,036,854,775,807",
    ),
    "a seed of 20 digits": (
        ("[0, 1]", "[0, 99999999999999999999]"),
        "round.yaml:6: seeds[1]: given 99999999999999999999\n"
        "  hint: expected at most 9,223,372,036,854,775,807",
    ),
    "more padding than image": (
        ("training:", "overrides:\n  datasets:\n    SVHN: {crop_padding: 100000000}\ntraining:"),
        "round.yaml:9: overrides.datasets.SVHN.crop_padding: given 100000000\n"
        "  hint: expected at most 256",
    ),
    "a long name": (
        ("round: trial", f"round: {'x' * 300}"),
        "round.yaml:1: round: given 300 characters\n  hint: expected at most 100",
    ),
    "more runs than anyone trains": (
        (
            "training:",
            "sweep:\n  temperature: [1, 2, 3, 4, 5, 6, 7]\n"
            f"  distance_weight: {[*range(1, 201)]}\n  angle_weight: {[*range(1, 201)]}\ntraining:",
        ),
        "round.yaml:7: sweep: the round has 160,032 runs\n  hint: expected at most 100,000",
    ),
    "a number's form for a name": (
        ("seeds:", "teachers_from: 'w/{dataset:d}.pt'\nseeds:"),
        "round.yaml:6: teachers_from: has {dataset:d}: expected {dataset}",
    ),
    "a form that fills the memory": (
        ("seeds:", "teachers_from: 'w/{seed:999999999999}.pt'\nseeds:"),
        "round.yaml:6: teachers_from: has {seed:999999999999}: expected {seed} or, with leading "
        "zeros, {seed:03d}",
    ),
    "a path with a control character": (
        ("seeds:", 'teachers_from: "w\\0x"\nseeds:'),
        "round.yaml:6: teachers_from: given 'w\\x00x', expected a round, a folder or a pattern of "
        "files",
    ),
    "a long path": (
        ("seeds:", f"teachers_from: {'x' * 300}.pt\nseeds:"),
        "round.yaml:6: teachers_from: a file or folder has more than 255 bytes in its name",
    ),
    "unknown legacy note": (
        ("training:", "legacy:\n  testview: resized\ntraining:"),
        "round.yaml:8: legacy.testview: given 'testview'\n"
        "  hint: did you mean 'test_view'? allowed: loss_weights, test_view, reported_accuracy, "
        f"teacher_weights, {METHODS}",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_message_of_a_typical_mistake(write: Write, name: str) -> None:
    (old, new), message = MISTAKES[name]
    assert GOOD.count(old) == 1
    with pytest.raises(ConfigError) as caught:
        load_round(write(GOOD.replace(old, new)))
    assert str(caught.value) == message


def test_a_good_file_loads(write: Write) -> None:
    loaded = load_round(write(GOOD))
    assert loaded.round == "trial"
    assert loaded.seeds == (0, 1)
    assert loaded.training.learning_rate == 0.05


def test_bounds_refuse_nothing_sensible(write: Write) -> None:
    text = GOOD.replace("round: trial", f"round: {'x' * 100}").replace(
        "[0, 1]", f"[0, {2**63 - 1}]"
    )
    fields = "epochs: 1000000\n  threads: 512\n  crop_padding: 28\n  batch_size: 65536"
    text = (
        text.replace("epochs: 4", fields) + "teachers_from: 'w/{dataset}/{model}-{seed:03d}.pt'\n"
    )
    loaded = load_round(write(text))
    assert (loaded.training.epochs, loaded.training.threads) == (10**6, 512)
    assert loaded.seeds == (0, 2**63 - 1)


@pytest.mark.parametrize("kind", ["endless", "pipe", "large", "folder"])
def test_files_that_cannot_be_read_to_their_end(write: Write, kind: str) -> None:
    path = Path("own_kd.py")
    match kind:
        case "endless":
            path.symlink_to("/dev/zero")
        case "pipe":
            os.mkfifo(path)
        case "large":
            with path.open("wb") as file:
                file.truncate(40 * 2**30)  # sparse: no disk is used
        case "folder":
            path.mkdir()
    with pytest.raises(ConfigError, match=r"round\.yaml:11: files\[0\]: ") as caught:
        load_round(write(GOOD + "files:\n  - own_kd.py\n"))
    expected = "is too large" if kind == "large" else "not a plain file"
    assert expected in str(caught.value)


def test_a_round_file_of_any_size_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "round.yaml"
    with path.open("wb") as file:
        file.truncate(40 * 2**30)
    with pytest.raises(
        ConfigError, match=r"round\.yaml is too large\n  hint: expected at most 1,000"
    ):
        load_round(path)


def test_an_unknown_changes_key_names_the_nearest(write: Write) -> None:
    with pytest.raises(ConfigError, match="did you mean 'label_smoothing'"):
        load_round(write(GOOD + "changes:\n  label_smothing: why\n"))


def test_changes_may_name_an_override(write: Write) -> None:
    loaded = load_round(write(GOOD + "changes:\n  epochs (ResNet20): why\n"))
    assert loaded.changes == {"epochs (ResNet20)": "why"}


def test_an_override_of_a_borrowed_teacher_is_refused(write: Write) -> None:
    text = GOOD + "overrides:\n  models:\n    ResNet20: {epochs: 3}\n"
    load_round(write(text))
    with pytest.raises(ConfigError, match="which this round does not train"):
        load_round(write(text + "teachers_from: other\n"))


def test_fields_of_two_overrides_may_need_each_other(write: Write) -> None:
    sections = "overrides:\n  datasets:\n    SVHN: {schedule: step, milestones: [2]}\n"
    assert load_round(write(GOOD + sections)).overrides.datasets["SVHN"]["schedule"] == "step"


def test_parameters_need_no_torch_to_be_named(write: Write) -> None:
    text = GOOD + "overrides:\n  methods:\n    logit: {temprature: 2}\n"
    with pytest.raises(ConfigError) as caught:
        load_round(write(text))
    assert str(caught.value) == (
        "round.yaml:12: overrides.methods.logit.temprature: unknown field\n"
        f"  hint: did you mean 'temperature'? allowed: {FLAT}, temperature, standardise"
    )


def test_parameter_values_are_checked_with_their_lines(write: Write) -> None:
    path = write(GOOD + "overrides:\n  methods:\n    logit:\n      temperature: -2\n")
    with pytest.raises(ConfigError) as caught:
        check_parameters(load_round(path), path)
    assert str(caught.value) == (
        "round.yaml:13: overrides.methods.logit.temperature: given -2\n"
        "  hint: expected greater than 0"
    )


def test_swept_parameter_values_are_checked(write: Write) -> None:
    path = write(GOOD + "sweep:\n  temperature: [4, 0]\n")
    with pytest.raises(ConfigError, match=r"round\.yaml:11: sweep\.temperature: given 0"):
        check_parameters(load_round(path), path)
    path = write(GOOD + "sweep:\n  temperature: [4, 2]\n")
    check_parameters(load_round(path), path)


def test_parameter_names_read_from_the_source_are_the_real_ones() -> None:
    from stillhouse import methods

    for method in methods.names():
        fields = methods.load(method).Config.model_fields
        assert methods.declared(method).parameters == tuple(fields), method
        assert not set(fields) & set(FLAT), method


def test_loading_and_expanding_import_no_torch(write: Write) -> None:
    path = write(GOOD)
    code = (
        "import sys; from pathlib import Path\n"
        "from stillhouse.config import diff, expand, identity, load\n"
        "import stillhouse.tables, stillhouse.exchange.published\n"
        f"round_ = load.load_round(Path({str(path.resolve())!r}))\n"
        f"load.check_parameters(round_, Path({str(path)!r}))\n"
        "expand.expand(round_)\n"
        "assert not {'torch', 'pandas', 'numpy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
