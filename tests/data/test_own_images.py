"""Own images from the round file to a loaded dataset: parts, measurement, cache, identity."""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from own_pictures import colour, folder, images, load, npz, numbers, save
from stillhouse import data
from stillhouse.config.expand import expand
from stillhouse.config.identity import counted, identity
from stillhouse.config.load import load_round
from stillhouse.config.schema import Round
from stillhouse.data import own_images
from stillhouse.data.base import Dataset
from stillhouse.errors import ConfigError, DataError, Notice
from stillhouse.training.reopen import prepare_data

pytestmark = pytest.mark.filterwarnings("ignore::stillhouse.errors.Notice")
THREE = {"train": 3, "val": 2, "test": 1}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STILLHOUSE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "data" / "folders"


def spec(round_: Round) -> data.DatasetSpec:
    return data.spec("flowers", round_.files)


class TestParts:
    def test_a_folder_is_a_dataset_straight_from_the_round_file(self, tmp_path: Path) -> None:
        folder(tmp_path)
        round_ = load(tmp_path)
        dataset, facts = images(round_), spec(round_)
        assert facts.note == ""
        assert (facts.name, facts.classes, facts.channels, facts.size) == ("flowers", 2, 3, 8)
        assert (facts.train_images, facts.test_images, facts.commonest) == (6, 6, 3)
        assert dataset.train.labels.tolist() == dataset.test.labels.tolist() == [0, 0, 0, 1, 1, 1]
        assert numbers(dataset) == [1, 2, 3, 4, 5, 6]
        assert numbers(dataset, "test") == [7, 8, 9, 10, 11, 12]

    def test_val_alone_is_the_test_set_and_the_facts_say_so(self, tmp_path: Path) -> None:
        folder(tmp_path, {"train": 3, "val": 2})
        round_ = load(tmp_path)
        assert numbers(images(round_), "test") == [7, 8, 9, 10]
        assert spec(round_).validation_images == 0
        assert "val/" in spec(round_).note

    def test_with_all_three_val_holds_the_validation_images(self, tmp_path: Path) -> None:
        folder(tmp_path, THREE)
        round_ = load(tmp_path)
        (run, *_) = expand(round_)
        assert run.training.validation == spec(round_).validation_images == 4
        dataset, validation, _ = prepare_data(run, tmp_path, torch.device("cpu"))
        assert validation is not None
        assert validation.images[:, 0, 0, 0].tolist() == [7, 8, 9, 10]
        assert (numbers(dataset), numbers(dataset, "test")) == ([1, 2, 3, 4, 5, 6], [11, 12])

    def test_validation_0_trains_on_the_validation_images_too(self, tmp_path: Path) -> None:
        folder(tmp_path, THREE)
        (run, *_) = expand(load(tmp_path, training="training: {epochs: 1, validation: 0}\n"))
        dataset, validation, _ = prepare_data(run, tmp_path, torch.device("cpu"))
        assert (len(dataset.train), validation) == (10, None)

    def test_one_folder_is_divided_by_the_recorded_seed(self, tmp_path: Path) -> None:
        folder(tmp_path, {".": 10})
        first, again, other = (
            images(load(tmp_path, f"folder: ./flowers, split_seed: {seed}")) for seed in (0, 0, 1)
        )
        assert first.test.labels.tolist() == [0, 0, 1, 1]
        assert sorted(numbers(first) + numbers(first, "test")) == list(range(1, 21))
        assert numbers(first, "test") == numbers(again, "test") != numbers(other, "test")
        assert "split_seed 1" in other.spec.note

    def test_a_small_class_has_a_test_image_and_a_training_image(self, tmp_path: Path) -> None:
        folder(tmp_path, {".": 30}, "a")
        for number in range(2):
            save(tmp_path / "flowers" / "b" / f"{number}.png", colour(number + 40))
        dataset = images(load(tmp_path, "folder: ./flowers, test_fraction: 0.1"))
        assert dataset.train.labels.bincount().tolist() == [27, 1]
        assert dataset.test.labels.bincount().tolist() == [3, 1]

    def test_images_lie_at_any_depth_below_their_class(self, tmp_path: Path) -> None:
        folder(tmp_path)
        save(tmp_path / "flowers" / "train" / "a" / "more" / "x.png", colour(99))
        assert 99 in numbers(images(load(tmp_path)))

    @pytest.mark.parametrize(
        ("parts", "named"),
        [
            ({"train": 3}, "has train/ only"),
            ({"test": 3, "val": 1}, "has test/, val/ only"),
            ({"train": 3, "val": 1, "valid": 1}, "val, valid"),
            ({"train": 3, "test": 1, "extra": 1}, "extra/"),
            ({".": 1}, "one image"),
            ({"train": 0, "test": 1}, "has test/ only"),
        ],
    )
    def test_other_forms_are_refused_with_the_expected_one(
        self, tmp_path: Path, parts: dict[str, int], named: str
    ) -> None:
        folder(tmp_path, parts)
        with pytest.raises(ConfigError) as refused:
            load(tmp_path)
        assert named in str(refused.value)
        assert "own.yaml:2" in refused.value.message

    def test_a_class_that_training_has_not_is_refused(self, tmp_path: Path) -> None:
        folder(tmp_path)
        save(tmp_path / "flowers" / "test" / "tulip" / "0.png", 1)
        with pytest.raises(ConfigError, match="tulip"):
            load(tmp_path)

    def test_an_image_outside_the_classes_is_refused(self, tmp_path: Path) -> None:
        save(folder(tmp_path) / "train" / "lost.png", 1)
        with pytest.raises(ConfigError, match=r"lost\.png"):
            load(tmp_path)

    def test_one_class_is_refused(self, tmp_path: Path) -> None:
        folder(tmp_path, classes="a")
        with pytest.raises(ConfigError, match="one class"):
            load(tmp_path)

    def test_hidden_files_are_left_out_and_others_named(self, tmp_path: Path) -> None:
        top = folder(tmp_path)
        for name in ("._0.png", ".DS_Store", "notes.txt"):
            (top / "train" / "a" / name).write_bytes(b"no image")
        with pytest.warns(Notice) as noticed:
            round_ = load(tmp_path)
        assert spec(round_).train_images == 6
        text = " ".join(str(one.message) for one in noticed)
        assert "train/a/notes.txt" in text
        assert ".DS_Store" not in text

    def test_links_that_lead_nowhere_or_in_a_circle_are_named(self, tmp_path: Path) -> None:
        top = folder(tmp_path)
        (top / "train" / "a" / "gone.png").symlink_to(tmp_path / "nothing.png")
        (top / "train" / "b" / "round").symlink_to(top / "train")
        with pytest.raises(ConfigError) as refused:
            load(tmp_path)
        assert "train/a/gone.png" in str(refused.value)
        assert "train/b/round" in str(refused.value)


class TestRoundFile:
    @pytest.mark.parametrize(
        ("entry", "named"),
        [
            ("folder: ./flowers, sise: 8", "size"),
            ("folder: ./flowers, size: [8, 16]", "whole number"),
            ("folder: ./flowers, size: 0", "0"),
            ("folder: ./flowers, channels: 2", "1, 3"),
            ("folder: ./nowhere", "nowhere"),
            ("folder: ./flowers, npz: ./flowers.npz", "npz"),
            ("size: 8", "folder"),
        ],
    )
    def test_mistakes_are_named_with_their_line(
        self, tmp_path: Path, entry: str, named: str
    ) -> None:
        folder(tmp_path)
        with pytest.raises(ConfigError) as refused:
            load(tmp_path, entry)
        assert named in str(refused.value)
        assert "own.yaml:2" in refused.value.message

    def test_the_name_of_a_built_in_dataset_is_taken(self, tmp_path: Path) -> None:
        folder(tmp_path)
        load(tmp_path)
        file = tmp_path / "own.yaml"
        file.write_text(file.read_text().replace("name: flowers", "name: Digits"))
        with pytest.raises(ConfigError, match=r"datasets\[0\].*'Digits' is taken"):
            load_round(file)


class TestMeasurement:
    def test_mean_and_std_are_those_of_the_training_images(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        top = folder(tmp_path, THREE)
        for path in top.rglob("*.png"):
            Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(path)
        round_ = load(tmp_path)
        (run, *_) = expand(round_)
        dataset, _, _ = prepare_data(run, tmp_path, torch.device("cpu"))
        train = dataset.train.images / 255
        assert spec(round_).mean == pytest.approx(train.mean(dim=(0, 2, 3)).tolist(), abs=1e-4)
        whole = train.transpose(0, 1).flatten(1).std(dim=1, correction=0)
        assert spec(round_).std == pytest.approx(whole.tolist(), abs=1e-4)

    def test_the_recorded_hash_is_that_of_the_images(self, tmp_path: Path) -> None:
        folder(tmp_path, THREE)
        round_ = load(tmp_path)
        dataset = images(round_)
        fresh = Dataset(dataset.spec, dataset.train, dataset.test)
        assert own_images.facts(round_.files[0])["images"] == fresh.content_hash()

    def test_measured_once_and_again_only_where_a_file_changed(self, tmp_path: Path) -> None:
        top = folder(tmp_path)
        first = load(tmp_path)
        with warnings.catch_warnings():
            warnings.simplefilter("error", Notice)
            assert load(tmp_path).files == first.files
        save(top / "train" / "a" / "0.png", colour(77))
        os.utime(top / "train" / "a" / "0.png", (1, 1))
        with pytest.warns(Notice, match="decoding"):
            second = load(tmp_path)
        assert numbers(images(second))[0] == 77
        assert numbers(images(first))[0] == 1

    def test_what_is_lost_is_measured_again(self, tmp_path: Path, home: Path) -> None:
        folder(tmp_path)
        first = load(tmp_path)
        shutil.rmtree(first.files[0].path.parent)
        assert load(tmp_path).files == first.files
        assert len(images(first).train) == 6

    def test_damaged_images_are_refused(self, tmp_path: Path) -> None:
        folder(tmp_path)
        round_ = load(tmp_path)
        path = round_.files[0].path.with_name(own_images.IMAGES)
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        with pytest.raises(DataError, match="damaged"):
            images(round_)

    def test_without_images_or_their_decoded_form_the_remedy_is_named(self, tmp_path: Path) -> None:
        top = folder(tmp_path)
        round_ = load(tmp_path)
        shutil.rmtree(top)
        with pytest.warns(Notice, match="gone"):
            assert load(tmp_path).files == round_.files
        round_.files[0].path.with_name(own_images.IMAGES).unlink()
        with pytest.raises(DataError, match=r"images\.safetensors"):
            data.check("flowers", tmp_path, round_.files)
        with pytest.raises(ConfigError, match="flowers"):
            load(tmp_path)

    def test_a_read_only_data_folder_leaves_the_cache(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder(tmp_path)
        (tmp_path / "file").write_text("in the way")
        monkeypatch.setenv("STILLHOUSE_DATA", str(tmp_path / "file"))
        round_ = load(tmp_path)
        assert round_.files[0].path.is_relative_to(tmp_path / "cache")
        assert len(images(round_).train) == 6


class TestIdentity:
    def test_it_holds_the_facts_and_no_path(self, tmp_path: Path) -> None:
        found = []
        for place in ("here", "there"):
            (tmp_path / place).mkdir()
            folder(tmp_path / place)
            found.append(load(tmp_path / place))
        runs = [expand(round_)[0] for round_ in found]
        assert identity(runs[0]) == identity(runs[1])
        assert counted(runs[0])["files"] == {"flowers": found[0].files[0].sha256[:16]}
        assert str(tmp_path) not in found[0].files[0].path.read_text()

    @pytest.mark.parametrize("change", ["size: 4", "channels: 1", "pixel", "split"])
    def test_other_images_are_another_run(self, tmp_path: Path, change: str) -> None:
        top = folder(tmp_path)
        before = identity(expand(load(tmp_path))[0])
        entry = "folder: ./flowers"
        if change == "pixel":
            save(top / "test" / "b" / "0.png", colour(50))
        elif change == "split":
            shutil.move(top / "test" / "b" / "0.png", top / "train" / "b" / "9.png")
        else:
            entry += f", {change}"
        assert identity(expand(load(tmp_path, entry))[0]) != before


class TestNpz:
    def test_medmnists_keys_are_a_dataset(self, tmp_path: Path) -> None:
        path = npz(tmp_path)
        round_ = load(tmp_path, "npz: ./flowers.npz")
        dataset, facts = images(round_), spec(round_)
        assert (facts.classes, facts.channels, facts.size) == (2, 1, 28)
        assert (facts.train_images, facts.validation_images, facts.test_images) == (16, 4, 6)
        with np.load(path) as arrays:
            expected = torch.from_numpy(arrays["test_images"]).unsqueeze(1)
            labels = torch.from_numpy(arrays["test_labels"].astype(np.int64))[:, 0]
        assert torch.equal(dataset.test.images, expected)
        assert torch.equal(dataset.test.labels, labels)

    def test_colour_images_are_resized(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(1)
        npz(
            tmp_path,
            **{
                f"{part}_images": rng.integers(0, 256, (count, 10, 20, 3), np.uint8)
                for part, count in (("train", 12), ("val", 4), ("test", 6))
            },
        )
        with pytest.raises(ConfigError, match="20 x 10"):
            load(tmp_path, "npz: ./flowers.npz")
        round_ = load(tmp_path, "npz: ./flowers.npz, size: 8")
        assert images(round_).train.images.shape == (16, 3, 8, 8)

    @pytest.mark.parametrize(
        ("changed", "named"),
        [
            ({"train_labels": np.zeros((12, 3), np.uint8)}, "train_labels"),
            ({"train_images": np.zeros((12, 8, 8, 8), np.uint8)}, "train_images"),
            ({"train_images": np.zeros((12, 28, 28), np.float32)}, "float32"),
            ({"train_images": np.zeros((11, 28, 28), np.uint8)}, "11"),
            ({"train_labels": np.zeros(12, np.float64)}, "whole numbers"),
            ({"train_labels": np.zeros(12, object)}, "cannot be read"),
            ({"train_images": None}, "train_labels"),
            ({"test_images": None, "val_images": None}, "train_images"),
            ({"test_labels": np.full(6, 7)}, "class 2"),
        ],
    )
    def test_other_arrays_are_refused(
        self, tmp_path: Path, changed: dict[str, object], named: str
    ) -> None:
        npz(tmp_path, **changed)
        with pytest.raises(ConfigError) as refused:
            load(tmp_path, "npz: ./flowers.npz")
        assert named in str(refused.value)

    def test_a_file_that_is_no_npz_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "flowers.npz").write_bytes(b"PK no archive")
        with pytest.raises(ConfigError, match="cannot be read"):
            load(tmp_path, "npz: ./flowers.npz")
