"""What every network of `MODELS` keeps."""

import math
from itertools import pairwise

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from wsikd.errors import ConfigError
from wsikd.explain.layers import measure_strides, watching
from wsikd.geometry import Size
from wsikd.models import MODELS, Network
from wsikd.models import build_model as build
from wsikd.models.cost import count_macs
from wsikd.models.timm_encoders import TIMM_NAMES

# published counts for 1000 classes; torchvision's batch norm has as many weights as group norm
PARAMETERS = {
    ("resnet10w32", 3): 1_231_011,
    ("resnet10w32", 5): 1_231_525,
    ("resnet18", 1000): 11_689_512,
    ("resnet34", 1000): 21_797_672,
    ("resnet50", 1000): 25_557_032,
    ("resnet18-bn", 1000): 11_689_512,
    ("resnet50-bn", 1000): 25_557_032,
    ("resnet50-bn", 0): 23_508_032,  # without the 2048 x 1000 weights and 1000 biases
    ("mobilenetv2", 1000): 3_504_872,
    ("efficientnet_b0", 1000): 5_288_548,
    ("xception", 1000): 22_855_952,
}
UNPADDED = ("xception",)  # by its first convolutions, so that its map is rounded down
BATCH_NORM = [name for name in MODELS if name.endswith("-bn") or name in TIMM_NAMES]


def build_model(name: str, class_count: int) -> Network:
    try:
        return build(name, class_count)
    except ConfigError as error:
        if name in TIMM_NAMES and "needs" in str(error):
            pytest.skip(str(error))
        raise


@pytest.mark.parametrize(("name", "class_count"), PARAMETERS)
def test_has_the_published_number_of_parameters(name, class_count):
    model = build_model(name, class_count)
    assert sum(tensor.numel() for tensor in model.parameters()) == PARAMETERS[name, class_count]


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    torch.manual_seed(0)
    # batch norm, as a trained network is used: in training images of a batch see each other
    return build_model(request.param, 3).train(request.param not in BATCH_NORM)


class TestEveryModel:
    def test_gives_a_map_of_its_stride_and_the_logits(self, model):
        seen = model(torch.rand(2, 3, 2 * model.stride, 5 * model.stride))
        assert seen.feature_map.shape == (2, model.embedding_width, 2, 5)
        assert seen.logits.shape == (2, 3)

    def test_rounds_the_size_of_its_map_up(self, model, request):
        if request.node.callspec.params["model"] in UNPADDED:
            pytest.skip("its first convolutions do not pad")
        found = model(torch.rand(1, 3, 70, 97)).feature_map
        assert found.shape[2:] == (math.ceil(70 / model.stride), math.ceil(97 / model.stride))

    def test_runs_each_stage_once_from_fine_to_coarse_and_ends_with_its_map(self, model):
        found = []
        with watching(model.stages(), lambda *one: found.append(one)):
            seen = model(torch.rand(2, 3, 128, 96))
        assert [name for name, _ in found] == list(model.stages())
        assert all(one.ndim == 4 for _, one in found)
        areas = [one.shape[2] * one.shape[3] for _, one in found]
        assert len(areas) > 1
        assert all(finer >= coarser for finer, coarser in pairwise(areas))
        assert torch.equal(found[-1][1], seen.feature_map)

    def test_has_the_stride_that_it_declares(self, model):
        assert list(measure_strides(model).values())[-1] == model.stride

    def test_embeds_without_classes_as_it_does_with_them(self, model):
        images = torch.rand(2, 3, 70, 50)
        assert torch.equal(model.embed(images), model(images).embedding)

    def test_costs_what_the_flop_counter_of_torch_says(self, model):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(torch.zeros(1, 3, 75, 60))
        assert 2 * count_macs(model, Size(60, 75)) == counter.get_total_flops()

    def test_embeds_an_image_as_the_mean_of_its_map(self, model):
        seen = model(torch.rand(2, 3, 70, 50))
        by_hand = torch.stack([image.flatten(1).mean(1) for image in seen.feature_map])
        torch.testing.assert_close(seen.embedding, by_hand)
        torch.testing.assert_close(seen.logits, by_hand @ model.fc.weight.T + model.fc.bias)

    @pytest.mark.parametrize("size", [(1, 1), (1, 9), (4, 4), (31, 5)])
    def test_takes_an_image_of_any_size_and_learns_from_it(self, model, size):
        seen = model(torch.rand(1, 3, *size))
        assert seen.feature_map.shape[-2:] == (1, 1)
        model.zero_grad()
        seen.logits.sum().backward()
        assert all(tensor.grad.isfinite().all() for tensor in model.parameters())

    def test_sees_an_image_alike_alone_and_in_a_batch(self, model):
        images = torch.rand(3, 3, 48, 40)
        together = model(images).logits
        alone = torch.cat([model(image[None]).logits for image in images])
        torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", MODELS)
class TestEveryArchitecture:
    def test_makes_an_encoder_when_there_are_no_classes(self, name):
        encoder = build_model(name, 0)
        assert not [parameter for parameter in encoder.state_dict() if parameter.startswith("fc.")]
        seen = encoder(torch.rand(2, 3, 40, 33))
        assert seen.logits.shape == (2, 0)
        assert seen.embedding.shape == (2, encoder.embedding_width)

    def test_is_not_changed_by_being_in_training_mode_without_batch_norm(self, name):
        model, image = build_model(name, 3), torch.rand(2, 3, 40, 40)
        trained = model.train()(image).logits
        assert torch.equal(trained, model.eval()(image).logits) == (name not in BATCH_NORM)
