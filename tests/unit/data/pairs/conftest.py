import pytest

from wsikd.data.pairs import PairingSettings, open_partner
from wsikd.data.patches import PatchSettings, open_patches


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
