"""Time the share of tissue in patches against a geometry library, on one outline of 5,000 corners.

python tests/benchmarks/measure_coverage.py
"""

from time import perf_counter

import numpy as np
import shapely
from shapely.geometry import mapping

from wsikd.data.patches.coverage import covered

ROUNDS = 5


def by_shapely(outline: shapely.Polygon, boxes: np.ndarray) -> np.ndarray:
    """Compute the shares where the outline crosses a patch, and tell inside from outside."""
    squares = shapely.box(*boxes.T)
    shapely.prepare(outline)
    shares = shapely.contains(outline, squares).astype(float)
    border = shapely.intersects(outline, squares) & (shares == 0)
    shares[border] = shapely.area(shapely.intersection(outline, squares[border]))
    shares[border] /= shapely.area(squares[border])
    return shares


def measure() -> None:
    """Print the median of a few rounds of both, and how far the shares differ."""
    angles = np.linspace(0, 2 * np.pi, 5001)
    far = 40_000 + np.random.default_rng(0).uniform(-3000, 3000, 5001)
    outline = shapely.Polygon(np.stack([far * np.cos(angles), far * np.sin(angles)], axis=1))
    left, top = np.meshgrid(*[np.arange(-50_000, 49_104, 896.0)] * 2)
    corners = np.stack([left, top], axis=-1).reshape(-1, 2)
    boxes = np.concatenate([corners, corners + 896], axis=1)
    ours, theirs = [], []
    for _ in range(ROUNDS):
        start = perf_counter()
        found = covered(mapping(outline), boxes)
        between = perf_counter()
        expected = by_shapely(outline, boxes)
        ours.append(between - start)
        theirs.append(perf_counter() - between)
    ratio = np.median(theirs) / np.median(ours)
    print(f"{len(boxes)} patches: {np.median(ours):.3f} s, shapely {ratio:.1f} times as long")
    print(f"largest difference of a share: {np.abs(found - expected).max():.1e}")


if __name__ == "__main__":
    measure()
