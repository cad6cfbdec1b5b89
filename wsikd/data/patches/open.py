"""Patches to learn from: of a folder of images, or of the regions of a workspace."""

from wsikd.data.patches.folders import FolderPatches
from wsikd.data.patches.grid import RegionPatches
from wsikd.data.patches.source import PatchSettings, PatchSource
from wsikd.errors import ConfigError
from wsikd.workspace import Workspace


def open_patches(settings: PatchSettings, workspace: Workspace) -> PatchSource:
    """Find the patches that the settings describe.

    Parameters
    ----------
    settings : PatchSettings
        With `images`, the images of that folder; without, patches of the regions at 10x or `mag`.
    workspace : Workspace
        Holds the regions and their manifest.

    Raises
    ------
    ConfigError
        If settings are missing or do not go together.
    ManifestError
        If a table breaks a rule, or images share a name or differ in size.
    StoreError
        If regions, outlines or the magnification are not in the store.
    NothingUsableError
        If there is no patch.
    """
    if settings.images is not None:
        return FolderPatches(settings.images, settings)
    if settings.test_images is not None:
        raise ConfigError("--test-images needs --images, the folder that is learnt from")
    return RegionPatches(workspace, settings)
