"""Where recipes are: the file named, or one that comes with wsikd."""

from pathlib import Path

import wsikd
from wsikd.errors import ConfigError

_PACKAGE = Path(wsikd.__file__).parent
# inside an installed wheel, beside the package in a checkout
_FOLDERS = (_PACKAGE / "pipelines", _PACKAGE.parent / "pipelines")


def find_recipe(path: Path) -> Path:
    """Return the recipe's file: the path itself, or for a bare name the bundled recipe.

    Raises
    ------
    ConfigError
        If there is neither.
    """
    if path.is_file():
        return path
    for folder in _FOLDERS if path.parent == Path() else ():
        bundled = folder / f"{path.name.removesuffix('.yaml')}.yaml"
        if bundled.is_file():
            return bundled
    known = sorted({file.stem for folder in _FOLDERS for file in folder.glob("*.yaml")})
    raise ConfigError(f"{path}: no such recipe; with wsikd come {', '.join(known) or 'none'}")
