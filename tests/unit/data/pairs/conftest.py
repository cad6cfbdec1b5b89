import numpy as np
import pytest
import tifffile

from wsikd.data.pairs import PairingSettings, open_partner
from wsikd.data.patches import PatchSettings, open_patches

NAMES = ["Hoechst", "Pan-CK", "CD45"]


@pytest.fixture
def pair_up():
    """Open the patches of a folder, or of a workspace, and their partner."""

    def open_pair(pairing, place, *, given=None, **patches):
        if hasattr(place, "store"):
            source = open_patches(PatchSettings(**{"patch": 32, **patches}), place)
        else:
            source = open_patches(PatchSettings(images=place, **{"mag": 20, **patches}), None)
        return open_partner(PairingSettings(pairing=pairing, **(given or {})), source)

    return open_pair


@pytest.fixture
def write_planes(tmp_path):
    """Write an OME-TIFF of one plane per channel, the second level of means of 2 x 2."""

    def write(planes, *, mpp=0.5, names=NAMES, unit="µm", name="if.ome.tif"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        metadata = {"axes": "CYX", "Channel": {"Name": names}}
        if mpp is not None:
            metadata |= {"PhysicalSizeX": mpp, "PhysicalSizeY": mpp}
            metadata |= {"PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": unit}
        with tifffile.TiffWriter(path, ome=True) as writer:
            options = {"photometric": "minisblack", "tile": (64, 64), "compression": "zlib"}
            writer.write(planes, subifds=1, metadata=metadata, **options)
            count, height, width = planes.shape
            blocks = planes.reshape(count, height // 2, 2, width // 2, 2)
            half = np.floor(blocks.mean(axis=(2, 4)) + 0.5).astype(planes.dtype)
            writer.write(half, subfiletype=1, **options)
        return path

    return write
