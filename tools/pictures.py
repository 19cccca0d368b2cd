"""Draw the example's pictures: `python tools/pictures.py examples/pictures`.

Digits in Pillow's own typeface, turned, moved and scaled at random, dark on light, with noise:
16 x 16 grey pixels, 40 training and 10 test pictures of each digit.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIZE, SHARP = 16, 6  # drawn larger, then reduced
COUNTS = {"train": 40, "test": 10}


def picture(digit: int, rng: np.random.Generator) -> Image.Image:
    """Return one picture of a digit."""
    side = SIZE * SHARP
    page = Image.new("L", (side, side), 0)
    typeface = ImageFont.load_default(float(rng.uniform(0.6, 0.9) * side))
    middle = side / 2 + rng.uniform(-0.07, 0.07, 2) * side
    ImageDraw.Draw(page).text(tuple(middle), str(digit), fill=255, font=typeface, anchor="mm")
    page = page.rotate(float(rng.uniform(-18, 18)), Image.Resampling.BICUBIC)
    ink = np.asarray(page.resize((SIZE, SIZE), Image.Resampling.BOX), np.float64) / 255
    paper, pen = rng.uniform(150, 255), rng.uniform(0, 90)
    grey = paper + (pen - paper) * ink + rng.normal(0, 12, (SIZE, SIZE))
    return Image.fromarray(np.clip(np.rint(grey), 0, 255).astype(np.uint8))


def main(folder: Path) -> None:
    """Draw all pictures below `folder`."""
    rng = np.random.default_rng(0)
    for part, count in COUNTS.items():
        for digit in range(10):
            home = folder / part / str(digit)
            home.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                picture(digit, rng).save(home / f"{number:02}.png", "PNG", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
