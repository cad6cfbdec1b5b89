"""How labels of nuclei were made: the model, the settings and the pixels that decide them."""

from typing import Any

from wsikd.config import Settings
from wsikd.data.fields.field import Field
from wsikd.hashing import bytes_digest, source_fingerprint
from wsikd.nuclei.objects import ObjectSettings
from wsikd.nuclei.trained import Segmenter


class _Model(Settings):
    model: str
    """Hash of the weights."""
    channel: int
    inverted: bool
    balanced: bool


class MadeBy(ObjectSettings, _Model):
    """What decides the labels of any field: the model, and then the settings."""

    def of(self, field: Field) -> "Made":
        """Add what else decides the labels of a field: its pixels."""
        source = source_fingerprint(field.source)
        return Made(**self.model_dump(), source=source, size=field.size, mpp=field.mpp)


class Made(MadeBy):
    """What decides the labels of one field; in their OME-Zarr, as `read_made` returns it."""

    source: str
    """Hash of the file or folder of the pixels."""
    size: tuple[int, int]
    mpp: tuple[float, float] | None


def made_by(segmenter: Segmenter, settings: ObjectSettings) -> MadeBy:
    """Describe what a segmenter makes with resolved settings."""
    tensors = segmenter.network.state_dict()
    weights = (name.encode() + tensors[name].cpu().numpy().tobytes() for name in sorted(tensors))
    objects: dict[str, Any] = settings.model_dump(include=set(ObjectSettings.model_fields))
    return MadeBy(
        model=bytes_digest(weights),
        channel=segmenter.channel,
        inverted=segmenter.inverted,
        balanced=segmenter.balanced,
        **objects,
    )
