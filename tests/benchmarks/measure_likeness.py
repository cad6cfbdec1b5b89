"""Count tiles that look alike, and how many are known again after small changes.

python tests/benchmarks/measure_likeness.py FOLDER_OF_TILES ...
"""

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image

from wsikd.data.likeness import find_alike, perceptual_hash


def compressed(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=50)
    return Image.open(file).convert("RGB")


CHANGES = {
    "JPEG at quality 50": compressed,
    "half the size": lambda image: image.reduce(2),
    "10 % more light": lambda image: image.point(lambda value: min(255, round(1.1 * value))),
}


def look(image: Image.Image) -> str:
    """Return how an image looks, as 64 bits."""
    return perceptual_hash(np.asarray(image))


def measure(folder: Path) -> None:
    """Print how many other tiles a set's tiles are taken for, and how many are known again."""
    paths = sorted(folder.rglob("*.jpg"))
    tiles = [Image.open(path).convert("RGB") for path in paths]
    known = [look(tile) for tile in tiles]
    pairs = len(known) * (len(known) - 1) // 2
    taken = sum(
        1
        for place in range(1, len(known))
        for _ in find_alike(known[:place], known[place : place + 1])
    )
    print(f"{folder.name}: {len(known)} tiles, {pairs} pairs; taken for an earlier one: {taken}")
    for name, change in CHANGES.items():
        again = sum(
            1
            for code, tile in zip(known, tiles, strict=True)
            for _ in find_alike([code], [look(change(tile))])
        )
        print(f"  {name}: {again} of {len(known)} known again")


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("folders", type=Path, nargs="+")
    for given in asked.parse_args().folders:
        measure(given)
