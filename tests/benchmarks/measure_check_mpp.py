"""Count how often a right and a wrong resolution is doubted; prints the table of docs/evidence.md.

Usage: python tests/benchmarks/measure_check_mpp.py RUN_OF_A_SEGMENTER LABELLED_SET
"""

import sys
from pathlib import Path

from shapely import box

from wsikd.geometry import Mpp, Region, Size, TissueRegion
from wsikd.nuclei.check_mpp import check_mpp
from wsikd.nuclei.score.sets import open_nuclei_set
from wsikd.nuclei.trained import open_segmenter
from wsikd.runs import RunFolder
from wsikd.slides import ArrayReader


def measure(run: Path, labelled: Path) -> None:
    """Print how many images are doubted at half, the right, and double the µm per pixel."""
    segmenter = open_segmenter(RunFolder(run))
    learnt = set(segmenter.learnt["slide_id"])
    images = [image for image in open_nuclei_set(labelled) if image.mpp is not None]
    for kind, chosen in (
        ("learnt from", [image for image in images if image.name in learnt]),
        ("not seen", [image for image in images if image.name not in learnt]),
    ):
        for factor in (0.5, 1.0, 2.0):
            doubted = 0
            for image in chosen:
                pixels, stated = image.read_pixels(), factor * (image.mpp or 0)
                size = Size(pixels.shape[1], pixels.shape[0])
                tissue = [TissueRegion(0, Region(0, 0, size), box(0, 0, *size))]
                with ArrayReader(pixels) as reader:
                    found = check_mpp(reader, Mpp(stated, stated), tissue, segmenter)
                doubted += found.warning is not None
            share = f"{doubted} of {len(chosen)}"
            print(f"images {kind}: {factor:g} times the true µm per pixel, doubted {share}")


if __name__ == "__main__":
    measure(Path(sys.argv[1]), Path(sys.argv[2]))
