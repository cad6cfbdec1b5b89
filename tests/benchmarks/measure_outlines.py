"""Compare the tissue found on real slides with outlines that were drawn by eye.

Example: python tests/benchmarks/measure_outlines.py ../shared/data
"""

import json
import sys
from pathlib import Path

from shapely import make_valid, unary_union
from shapely.geometry import shape

from wsikd.slides import open_slide, resolution_of
from wsikd.tissue import TissueSettings, find_tissue

OUTLINES = Path(__file__).parents[1] / "regression" / "outlines"


def main(folder: Path) -> None:
    """Print pieces, intersection over union, precision and recall of each slide."""
    for outline in sorted(OUTLINES.glob("*.geojson")):
        (path,) = (file for file in folder.glob("*/*") if file.stem == outline.stem)
        features = json.loads(outline.read_text())["features"]
        drawn = unary_union([make_valid(shape(feature["geometry"])) for feature in features])
        with open_slide(path) as slide:
            regions = find_tissue(slide, resolution_of(slide).mpp, TissueSettings())
        found = unary_union([make_valid(region.outline) for region in regions])
        both = found.intersection(drawn).area
        iou, precision, recall = (
            both / area for area in (found.union(drawn).area, found.area, drawn.area)
        )
        print(f"{path.name}: {len(regions)}, {iou:.3f}, {precision:.3f}, {recall:.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
