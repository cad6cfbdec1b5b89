"""How fast regions of unequal sizes are learnt from at once, and what each policy costs in time.

Run by `make bench`. The regions of a batch are alike in pixels but not in shape, so that a fifth of
what is read is padding. Nothing is asserted on time; docs/benchmarks.md keeps the results.
"""

import pytest
import torch

from wsikd.geometry import Size
from wsikd.models import Network, build_model
from wsikd.models.images import Images
from wsikd.models.policies import POLICIES
from wsikd.training.device import place

CPU = torch.device("cpu")
SHAPES = (Size(24, 20), Size(20, 24), Size(22, 22), Size(23, 21))
COUNTS = {"24 px": (1, 32), "200 px": (8, 8)}  # how many times 24 pixels, and how many regions


def build(architecture: str) -> Network:
    torch.manual_seed(0)
    return place(build_model(architecture, 3), CPU).train()


def learn(model: Network, batches: list[Images]) -> None:
    for batch in batches:
        model(batch).logits.logsumexp(1).sum().backward()


@pytest.mark.parametrize("architecture", ["resnet10w32", "resnet18"])
@pytest.mark.parametrize("together", [True, False], ids=["together", "alone"])
@pytest.mark.parametrize(("times", "count"), COUNTS.values(), ids=COUNTS)
def test_regions_of_unequal_sizes(benchmark, architecture, together, times, count):
    shapes = [SHAPES[index % len(SHAPES)] for index in range(count)]
    images = [torch.randn(3, times * shape.height, times * shape.width) for shape in shapes]
    packs = [images] if together else [[image] for image in images]
    batches = [Images.pad(pack, torch.channels_last) for pack in packs]
    benchmark.pedantic(learn, (build(architecture), batches), rounds=5, warmup_rounds=1)


@pytest.mark.parametrize("architecture", ["resnet10w32", "resnet18", "resnet50"])
@pytest.mark.parametrize("policy", POLICIES)
def test_policies_on_one_megapixel(benchmark, architecture, policy):
    model = build(architecture)
    model.policy = policy
    images = Images(torch.randn(1, 3, 1024, 1024).contiguous(memory_format=torch.channels_last))
    benchmark.pedantic(learn, (model, [images]), rounds=2, warmup_rounds=1)
