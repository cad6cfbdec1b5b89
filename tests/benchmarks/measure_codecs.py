"""Compare the core Zarr codecs on real tissue at 10x; prints the table of docs/benchmarks.md.

Usage: python tests/benchmarks/measure_codecs.py FOLDER_OF_10X_SLIDES
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import zarr
from zarr.codecs import BloscCodec, BloscShuffle, GzipCodec, ZstdCodec

from wsikd.geometry import Region, Size
from wsikd.slides import open_slide

SIDE = 1024
CODECS = {
    "raw": (),
    "gzip 1": (GzipCodec(level=1),),
    "gzip 6": (GzipCodec(level=6),),
    "zstd 1": (ZstdCodec(level=1),),
    "zstd 3": (ZstdCodec(level=3),),
    "zstd 9": (ZstdCodec(level=9),),
    **{
        f"blosc {cname} {level} {shuffle.name}": (
            BloscCodec(cname=cname, clevel=level, shuffle=shuffle, typesize=1),
        )
        for cname, level in (("lz4", 5), ("zstd", 1), ("zstd", 5))
        for shuffle in (BloscShuffle.noshuffle, BloscShuffle.bitshuffle)
    },
}


def main(folder: Path) -> None:
    """Measure every codec on the central 1,024 px square of every slide in a folder."""
    torch.set_num_threads(1)
    zarr.config.set({"async.concurrency": 1, "threading.max_workers": 1})
    squares = [central_square(path) for path in sorted(folder.glob("*.tif"))]
    print("| codec | bytes/pixel | write MPix/s | read MPix/s |\n|---|---|---|---|")
    for name, codecs in CODECS.items():
        print("| {} | {:.2f} | {:.0f} | {:.0f} |".format(name, *measure(squares, codecs)))


def central_square(path: Path) -> np.ndarray:
    with open_slide(path) as slide:
        x, y = ((side - SIDE) // 2 for side in slide.size)
        return np.moveaxis(slide.read(Region(x, y, Size(SIDE, SIDE))), 2, 0)


def measure(squares: list[np.ndarray], codecs: tuple) -> tuple[float, float, float]:
    written = read = size = 0.0
    for square in squares:
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            array = zarr.create_array(
                folder,
                shape=square.shape,
                dtype="uint8",
                chunks=(3, 512, 512),
                shards=(3, SIDE, SIDE),
                compressors=codecs or None,
            )
            array[:] = square
            middle = time.perf_counter()
            assert np.array_equal(zarr.open_array(folder)[:], square)
            end = time.perf_counter()
            size += sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
        written, read = written + middle - start, read + end - middle
    pixels = len(squares) * SIDE**2
    return size / pixels, pixels / written / 1e6, pixels / read / 1e6


if __name__ == "__main__":
    main(Path(sys.argv[1]))
