"""Square patches of one size: of a folder of images, or of a workspace's regions."""

from wsikd.data.patches.open import open_patches
from wsikd.data.patches.source import PatchSettings, PatchSource, Place

__all__ = ["PatchSettings", "PatchSource", "Place", "open_patches"]
