"""Images in two folders that go by equal names."""

from collections.abc import Collection, Sequence
from pathlib import Path

from wsikd.data.patches.folders import FolderPatches, common_size, list_images, read_image
from wsikd.errors import ManifestError
from wsikd.geometry import Pixels, Region

_NAMED = 3


def match_images(source: FolderPatches, folder: Path) -> tuple[Path, ...]:
    """Find the image of the same name for each of a source's, whatever their suffixes.

    Names are those below the folders, "ADI/ADI-1"; a flat folder needs the last part alone. Of
    a whole folder, all images of the other must be wanted, too; of images from a table, not.

    Raises
    ------
    ManifestError
        If one lacks a partner; the message counts them and names the first.
    """
    found = list_images(folder)
    flat = not found[0].label
    paths: dict[str, Path] = {}
    for image in found:
        if image.key in paths:
            raise ManifestError(
                f"{folder}: {paths[image.key].name} and {image.path.name} go by one name; keep one"
            )
        paths[image.key] = image.path
    wanted = [key.rpartition("/")[2] if flat else key for key in source.keys]
    refuse_lacking(wanted, paths, folder, "add them, or list the others with --table")
    if source.is_whole:
        remedy = "remove them, or list the images with --table"
        refuse_lacking(sorted(paths), set(wanted), Path(source.origin), remedy)
    return tuple(paths[name] for name in wanted)


def refuse_lacking(wanted: Sequence[str], have: Collection[str], place: Path, remedy: str) -> None:
    """Refuse names that have no partner.

    Raises
    ------
    ManifestError
        The message counts them and names the first three.
    """
    lacking = [name for name in wanted if name not in have]
    if lacking:
        names = ", ".join(lacking[:_NAMED]) + (", …" if len(lacking) > _NAMED else "")
        raise ManifestError(
            f"{place}: {len(lacking)} of {len(wanted)} lack a partner here, {names}; {remedy}"
        )


def refuse_other_size(source: FolderPatches, paths: Sequence[Path]) -> None:
    """Refuse partners that differ in size from the source's images, or from each other.

    Raises
    ------
    ManifestError
    """
    own, other = source.size, common_size(paths)
    if own != other:
        raise ManifestError(
            f"{paths[0]}: is {other.width} x {other.height} px, its partner {source.paths[0]} is "
            f"{own.width} x {own.height}; bring both to one size"
        )


def read_channels(path: Path, channels: Sequence[int | str]) -> Pixels:
    """Decode an image to RGB; of a TIFF with a plane per channel, the chosen channels."""
    from wsikd.slides.planes import PlanesReader, has_planes  # noqa: PLC0415

    if not has_planes(path):
        return read_image(path)
    with PlanesReader(path, channels) as reader:
        return reader.read(Region(0, 0, reader.size))
