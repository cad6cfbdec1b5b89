"""What a model that is to be trained will read, with the colours of what it learns from."""

from pathlib import Path
from typing import TYPE_CHECKING

from wsikd.data.statistics import channel_statistics
from wsikd.geometry import format_magnification, magnification_to_mpp
from wsikd.models.weights import ModelDescription
from wsikd.training.display import telling_if_long
from wsikd.training.distributed import first_alone

if TYPE_CHECKING:
    from wsikd.methods.region_inputs import Inputs


def describe(
    inputs: "Inputs", architecture: str, magnification: float, cache: Path
) -> ModelDescription:
    """Describe a model to be trained, with mean and std of the labelled training regions.

    What is known of their colours is kept in the folder `cache`; otherwise they are read, with
    progress on stderr if it takes more than a moment. Of several processes one reads them.
    """
    trained = inputs.items["train"]
    doing = (
        f"reads {len(trained)} regions at {format_magnification(magnification)} for mean and std"
    )
    with first_alone(), telling_if_long("colours", doing) as tell:
        mean, std = channel_statistics(inputs.store, trained, magnification, cache, tell)
    return ModelDescription(
        architecture=architecture,
        classes=inputs.classes,
        magnification=magnification,
        mpp=magnification_to_mpp(magnification),
        mean=mean,
        std=std,
    )
