"""Pixels of image files: every size, form and mode; broken and animated files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2.functional import center_crop, pil_to_tensor, resize

from own_pictures import colour, folder, images, load, save
from stillhouse.data.image_folder import read_image
from stillhouse.errors import ConfigError

pytestmark = pytest.mark.filterwarnings("ignore::stillhouse.errors.Notice")
RED, GREEN, WHITE = [255, 0, 0], [0, 255, 0], [255, 255, 255]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STILLHOUSE_DATA", str(tmp_path / "data"))


def gradient(width: int, height: int) -> Image.Image:
    rows, columns = np.mgrid[0:height, 0:width]
    pixels = np.stack([rows * 255 / height, columns * 255 / width, rows * 0 + 90], axis=2)
    return Image.fromarray(pixels.astype(np.uint8))


@pytest.mark.parametrize(("width", "height"), [(40, 40), (64, 40), (40, 61), (9, 30)])
def test_the_centred_square_is_resized_as_torchvision_crops_and_resizes(
    tmp_path: Path, width: int, height: int
) -> None:
    gradient(width, height).save(tmp_path / "x.png")
    side = min(width, height)
    expected = pil_to_tensor(resize(center_crop(gradient(width, height), [side]), [16]))
    assert torch.equal(torch.from_numpy(read_image(tmp_path / "x.png", 16, 3).copy()), expected)


def test_an_image_of_the_size_keeps_its_pixels(tmp_path: Path) -> None:
    gradient(16, 16).save(tmp_path / "x.png")
    expected = np.asarray(gradient(16, 16)).transpose(2, 0, 1)
    np.testing.assert_array_equal(read_image(tmp_path / "x.png", 16, 3), expected)


def test_images_are_turned_as_exif_says(tmp_path: Path) -> None:
    upright = gradient(16, 16)
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned a quarter to the right
    upright.rotate(90, expand=True).save(tmp_path / "x.png", exif=exif)
    expected = np.asarray(upright).transpose(2, 0, 1)
    np.testing.assert_array_equal(read_image(tmp_path / "x.png", 16, 3), expected)


def test_16_bits_are_scaled_and_not_clipped(tmp_path: Path) -> None:
    levels = np.linspace(0, 65_535, 64).reshape(8, 8).astype(np.uint16)
    Image.fromarray(levels).save(tmp_path / "x.png")
    found = read_image(tmp_path / "x.png", 8, 1)[0]
    np.testing.assert_array_equal(found, np.rint(levels / 257))


@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [
        ("RGBA", (255, 0, 0, 255), RED),
        ("RGBA", (255, 0, 0, 0), WHITE),
        ("LA", (0, 0), WHITE),
        ("L", 130, [130] * 3),
        ("1", 1, WHITE),
    ],
)
def test_modes_become_colours_and_transparent_pixels_white(
    tmp_path: Path, mode: str, value: object, expected: list[int]
) -> None:
    save(tmp_path / "x.png", value, mode)
    assert read_image(tmp_path / "x.png", 8, 3)[:, 4, 4].tolist() == expected


def test_a_palette_with_a_transparent_colour(tmp_path: Path) -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([*RED, *GREEN])
    image.paste(1, (0, 0, 8, 4))
    image.save(tmp_path / "x.png", transparency=0)
    found = read_image(tmp_path / "x.png", 8, 3)
    assert (found[:, 0, 0].tolist(), found[:, 7, 7].tolist()) == (GREEN, WHITE)


def test_cmyk_is_converted(tmp_path: Path) -> None:
    save(tmp_path / "x.jpg", (0, 255, 255, 0), "CMYK")
    found = read_image(tmp_path / "x.jpg", 8, 3)[:, 4, 4].tolist()
    assert found == pytest.approx(RED, abs=4)


def test_only_grey_images_have_one_channel(tmp_path: Path) -> None:
    top = folder(tmp_path)
    for number, path in enumerate(sorted(top.rglob("*.png"))):
        save(path, 20 * number, "L")
    assert images(load(tmp_path)).spec.channels == 1
    save(top / "train" / "a" / "0.png", colour(20))
    mixed = images(load(tmp_path))
    assert mixed.spec.channels == 3
    assert images(load(tmp_path, "folder: ./flowers, channels: 1")).spec.channels == 1


def test_images_of_several_sizes_need_a_size(tmp_path: Path) -> None:
    top = folder(tmp_path)
    save(top / "train" / "a" / "0.png", colour(20), size=(20, 10))
    with pytest.raises(ConfigError, match="size: 64"):
        load(tmp_path)
    dataset = images(load(tmp_path, "folder: ./flowers, size: 8"))
    assert dataset.train.images.shape == (6, 3, 8, 8)
    assert "centred square of 1 " in dataset.spec.note


def test_rectangles_are_refused_by_name_without_a_size(tmp_path: Path) -> None:
    for path in folder(tmp_path).rglob("*.png"):
        save(path, colour(len(path.name)), size=(20, 10))
    with pytest.raises(ConfigError, match="20 x 10"):
        load(tmp_path)


def broken(path: Path, kind: str) -> None:
    picture = gradient(64, 64)
    match kind:
        case "no picture":
            path.write_bytes(b"hello")
        case "blank":
            path.write_bytes(b"")
        case "truncated":
            picture.save(path, "JPEG")
            path.write_bytes(path.read_bytes()[:-300])
        case "animated":
            frames = [gradient(64, 32)] * 2 + [picture]
            frames[0].save(path, "GIF", save_all=True, append_images=frames[1:])
        case "pages":
            picture.save(path, "TIFF", save_all=True, append_images=[gradient(9, 9)])
        case "real":
            Image.new("F", (8, 8), 0.5).save(path, "TIFF")


@pytest.mark.parametrize("kind", ["no picture", "blank", "truncated", "animated", "pages", "real"])
def test_broken_and_animated_files_are_named(tmp_path: Path, kind: str) -> None:
    top = folder(tmp_path)
    for name in ("x.png", "y.png"):
        broken(top / "train" / "b" / name, kind)
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, "folder: ./flowers, size: 8")
    assert "2 files" in refused.value.message
    assert all(f"train/b/{name}: " in refused.value.message for name in ("x.png", "y.png"))
    assert not list((tmp_path / "data").rglob("*.safetensors"))


def test_a_bomb_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top = folder(tmp_path)
    save(top / "train" / "a" / "big.png", colour(1), size=(40, 40))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ConfigError, match=r"train/a/big\.png"):
        load(tmp_path, "folder: ./flowers, size: 8")


def test_the_second_picture_of_a_camera_is_a_preview(tmp_path: Path) -> None:
    gradient(64, 64).save(
        tmp_path / "x.jpg", "MPO", save_all=True, append_images=[gradient(16, 16)]
    )
    top = folder(tmp_path)
    (tmp_path / "x.jpg").rename(top / "train" / "a" / "x.jpg")
    dataset = images(load(tmp_path, "folder: ./flowers, size: 8"))
    assert len(dataset.train) == 7
