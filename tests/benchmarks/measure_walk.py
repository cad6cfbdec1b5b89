"""Count the files that one region passes on its way from the slide to the report.

Run it from the repository's root; it draws nine small slides and carries out the main job on them:

    python tests/benchmarks/measure_walk.py

A file is passed when a function in it is handed the region: its pixels, its box or outline, its
record or item, or a table with its row. Settings, messages and what merely runs besides are not.
"""

import inspect
import os
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import torch

ROOT = Path(os.environ.get("ROOT", ".")).absolute()
sys.path.insert(0, str(ROOT))

from wsikd.cli import main  # noqa: E402  of the tree that ROOT names

NAMED = {"Region", "TissueRegion", "RegionRecord", "RegionItem", "LevelRecord", "SlideRecord"}
NAMED |= {"RegionDataset", "Outline", "ShownRegion"}
DRAW = "draw slides --slides 9 --pieces 1 --piece-mm 0.4 0.45"
TO_THE_STORE = ("prepare slides --workers 0",)
TO_THE_REPORT = (
    "teach --epochs 1 --device cpu",
    "distil --student-mag 1.25 --epochs 1 --device cpu",
    "evaluate --draws 200",
    "report",
)


def is_region(value: object) -> bool:
    """Tell whether a value is a region, or holds one at its first place."""
    if isinstance(value, np.ndarray):  # pixels or a mask; neither weights nor counts
        return value.ndim >= 2 and value.dtype in (np.uint8, np.bool_)
    if isinstance(value, torch.Tensor):
        return value.ndim >= 3 and not isinstance(value, torch.nn.Parameter)
    if isinstance(value, pd.DataFrame):
        return "region_id" in value.columns or "region_id" in value.index.names
    if isinstance(value, dict):
        return any(is_region(inner) for inner in value.values())
    if isinstance(value, list | tuple) and type(value).__name__ in ("list", "tuple"):
        return bool(value) and is_region(value[0])
    return type(value).__name__ in NAMED


def walk(*commands: str) -> list[str]:
    """Return the files that a region passes while commands are carried out, in order."""
    passed: dict[str, None] = {}
    inside = str(ROOT / "wsikd") + os.sep

    def look(frame, event, _):
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(inside):
            return
        if not code.co_flags & inspect.CO_OPTIMIZED:  # the body of a class or module
            return
        count = code.co_argcount + code.co_kwonlyargcount
        if any(is_region(frame.f_locals.get(name)) for name in code.co_varnames[:count]):
            passed.setdefault(code.co_filename.removeprefix(inside))

    for command in commands:
        sys.setprofile(look)
        threading.setprofile(look)
        try:
            assert main(command.split()) == 0, command
        finally:
            sys.setprofile(None)
            threading.setprofile(None)
    return list(passed)


def measure() -> None:
    """Print both parts of the walk."""
    os.chdir(tempfile.mkdtemp())
    main(DRAW.split())
    store = walk(*TO_THE_STORE)
    main(["split", "--fractions", "0.34", "0.33", "0.33"])
    report = walk(*TO_THE_REPORT)
    for title, files in (("slide to store", store), ("store to report", report)):
        print(f"{title}: {len(files)} files\n  " + "\n  ".join(files))


if __name__ == "__main__":
    measure()
