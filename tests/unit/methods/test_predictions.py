import pytest
import torch

from wsikd.data.regions import RegionItem
from wsikd.geometry import Size
from wsikd.methods.predictions import predict
from wsikd.models import build_model
from wsikd.models.cost import gmacs_of
from wsikd.models.weights import ModelDescription
from wsikd.training.feeds.regions import FeedOptions, RegionFeed
from wsikd.training.machine import Machine

SIZES = [(40, 64), (96, 32)]  # (height, width)
ITEMS = [
    RegionItem("s1", "p1", "region-000", "val", "b"),
    RegionItem("s2", "p2", "region-003", "test", "a"),
]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return build_model("resnet10w32", 2)


@pytest.fixture(scope="module")
def images():
    random = torch.Generator().manual_seed(0)
    return [torch.randint(256, (3, *size), generator=random, dtype=torch.uint8) for size in SIZES]


class Pictures:
    """A source of pictures that are there already."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def size(self, index):
        return Size(self.images[index].shape[2], self.images[index].shape[1])

    def read(self, index, without):
        assert not without
        return {"image": self.images[index]}


@pytest.fixture(scope="module", params=[0, 1e6], ids=["alone", "together"])
def table(request, model, images):
    budget = request.param
    description = ModelDescription(
        architecture="resnet10w32",
        classes=("a", "b"),
        magnification=10,
        mpp=1,
        mean=(0, 0, 0),
        std=(1, 1, 1),
    )
    feed = RegionFeed(
        Pictures(images),
        {"image": description},
        torch.device("cpu"),
        options=FeedOptions(budget=budget),
    )
    machine = Machine.find("cpu")
    return predict(model, feed, ITEMS, description.classes, machine, gmacs=gmacs_of(model))


def test_every_region_has_a_row_that_says_what_it_is(table):
    assert table[list(RegionItem._fields)].apply(tuple, axis=1).tolist() == [
        tuple(item) for item in ITEMS
    ]
    assert table[["height", "width"]].apply(tuple, axis=1).tolist() == SIZES


def test_probabilities_are_those_of_the_model(table, model, images):
    for row, image in zip(table.itertuples(), images, strict=True):
        with torch.no_grad():
            logits = model(image[None] / 255).logits[0].double()
        odds = (logits[1] - logits[0]).exp().item()  # of class b against class a
        assert (row.p_0, row.p_1) == pytest.approx((1 / (1 + odds), odds / (1 + odds)), rel=1e-4)


def test_the_cost_is_that_of_the_pixels_read(table):
    # papers: 5,016 MAC a pixel, exact here because all sides are multiples of 32 or of 8
    assert table["gmacs"][1] == pytest.approx(96 * 32 * 5016 / 1e9, rel=2e-3)
