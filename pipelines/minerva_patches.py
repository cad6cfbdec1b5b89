"""Make the table of labelled patches for minerva_crc.yaml from the grid of immunofluorescence.

    python pipelines/minerva_patches.py if_grid_2.60um_128px.csv patches.csv

Each row of the grid is a cell of 128 x 128 level-0 pixels of the H&E slide with the mean of each
channel. Cells that are at least half tissue are labelled: epithelium where Pan-CK is above Otsu's
threshold over those cells, else immune where CD45 is above its own, else stroma. Training and test
are alternating blocks of 10 x 10 cells with one cell left out between them; a block stands for a
patient, so that intervals respect that neighbours resemble each other.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from skimage.filters import threshold_otsu

SLIDE = "CRC01_P37S29_HE_2.60um"
BLOCK, GAP = 10, 1  # cells


def make_patches(grid: pd.DataFrame) -> pd.DataFrame:
    """Label the cells of the grid and deal them into training and test."""
    cells = grid[grid["tissue"] >= 0.5].reset_index(drop=True)
    is_epithelium = cells["PanCK"] > threshold_otsu(cells["PanCK"].to_numpy())
    is_immune = cells["CD45"] > threshold_otsu(cells["CD45"].to_numpy())
    column, row = cells["x"] // cells["size"], cells["y"] // cells["size"]
    period = BLOCK + GAP
    block_x, block_y = column // period, row // period
    table = pd.DataFrame(
        {
            "slide_id": SLIDE,
            "x": cells["x"],
            "y": cells["y"],
            "label": np.select([is_epithelium, is_immune], ["epithelium", "immune"], "stroma"),
            "patient_id": [f"block-{i}-{j}" for i, j in zip(block_x, block_y, strict=True)],
            "split": np.where((block_x + block_y) % 2 == 0, "train", "test"),
        }
    )
    return table[(column % period < BLOCK) & (row % period < BLOCK)]


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    make_patches(pd.read_csv(source)).to_csv(target, index=False)
