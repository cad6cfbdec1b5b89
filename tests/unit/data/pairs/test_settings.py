import pytest
from pydantic import ValidationError

from wsikd.data.pairs import PairingSettings


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"channels": ("a", "b")}, "must be one or three, got 2"),
        ({"channels": ()}, "must be one or three, got 0"),
        ({"transform": (1, 2, 0, 2, 4, 0)}, r"must not squash the plane \(ae = bd\), got"),
        ({"transform": (1, 0, 0, 0, 1)}, "Field required"),
    ],
)
def test_refuses_channels_and_transforms_that_cannot_be(given, message):
    with pytest.raises(ValidationError, match=message):
        PairingSettings(pairing="modality", **given)
