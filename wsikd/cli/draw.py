"""Draw slides with known tissue and classes, to try wsikd without data.

Example: wsikd draw slides --slides 12
"""

from pathlib import Path
from typing import Annotated

from wsikd.cli.console import Flat, say, show
from wsikd.drawn import DrawSettings, draw_slides
from wsikd.recipes import Footprint

FOOTPRINTS = {"draw": Footprint(outputs=("folder",), writes=("slides/slides.csv",))}


def draw(
    folder: Path = Path("slides"),
    *,
    settings: Annotated[DrawSettings, Flat] = DrawSettings(),
) -> int:
    """Draw slides with known tissue and classes, to try wsikd without data.

    Parameters
    ----------
    folder
        where the slides and their table slides.csv go
    """
    say(f"drawing {settings.slides + settings.auxiliary} slides in {folder}")
    show(str(draw_slides(folder, settings)))
    return 0
