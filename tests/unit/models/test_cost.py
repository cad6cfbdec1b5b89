import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from wsikd.errors import ConfigError
from wsikd.geometry import Size
from wsikd.models import build_model
from wsikd.models.cost import count_macs


class Model(nn.Module):
    """A model that does one thing with an image, with layers of its own."""

    def __init__(self, run, **layers):
        super().__init__()
        self.run = run
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, image):
        return self.run(self, image)


def flops_of_torch(model, size):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 3, size.height, size.width))
    return counter.get_total_flops()


def as_tokens(image):
    """Cut an image of (1, C, H, W) into tokens, (1, H W, C)."""
    return image.flatten(2).transpose(1, 2)


class TestResNets:
    def test_count_the_multiples_of_32_by_hand(self):
        # per input pixel: stem at 1/4, stage 1 at 1/16, then each stage at a quarter of the last
        stem = 7 * 7 * 3 * 32 / 4
        first = 2 * 9 * 32 * 32 / 16
        others = [
            (9 * width * 2 * width + 9 * (2 * width) ** 2 + width * 2 * width) / area
            for width, area in ((32, 64), (64, 256), (128, 1024))
        ]
        per_pixel = stem + first + sum(others)
        assert per_pixel == 5016
        assert count_macs(build_model("resnet10w32", 3), Size(256, 64)) == 256 * 64 * 5016 + 3 * 256

    @pytest.mark.parametrize("name", ["resnet10w32", "resnet18", "resnet50"])
    @pytest.mark.parametrize("size", [Size(97, 61), Size(1, 1), Size(33, 200)])
    def test_agree_with_the_flop_counter_of_torch(self, name, size):
        model = build_model(name, 5)
        assert 2 * count_macs(model, size) == flops_of_torch(model, size)


@pytest.mark.parametrize(
    "model",
    [
        Model(lambda own, image: own.conv(image), conv=nn.Conv2d(3, 6, 3, 2, 1, groups=3)),
        Model(lambda own, image: own.conv(image), conv=nn.ConvTranspose2d(3, 5, 3, 2)),
        Model(lambda own, image: own.conv(image.flatten(2)), conv=nn.Conv1d(3, 4, 5)),
        Model(lambda own, image: own.linear(as_tokens(image)), linear=nn.Linear(3, 7)),
        Model(lambda own, image: own.linear(as_tokens(image)), linear=nn.Linear(3, 7, bias=False)),
        Model(lambda own, image: image @ image.transpose(2, 3)),
        Model(lambda own, image: torch.einsum("bchw,bdhw->bcd", image, image)),
        Model(lambda own, image: torch.baddbmm(image[0], image[0], torch.ones(3, 6, 6))),
    ],
    ids=["grouped", "transposed", "1d", "linear", "no-bias", "matmul", "einsum", "baddbmm"],
)
def test_agrees_with_the_flop_counter_of_torch_on_every_product(model):
    found = count_macs(model, Size(6, 10))
    assert found > 0
    assert 2 * found == flops_of_torch(model, Size(6, 10))


class TestAttention:
    def test_of_one_head_is_two_products_of_tokens(self):
        model = Model(lambda own, image: F.scaled_dot_product_attention(*[as_tokens(image)] * 3))
        # 40 tokens of 3 numbers: their likeness to one another, then their weighted average
        assert count_macs(model, Size(10, 4)) == 40 * 40 * 3 + 40 * 40 * 3

    @pytest.mark.parametrize("is_training", [True, False])
    @pytest.mark.parametrize("need_weights", [True, False])
    def test_in_a_layer_counts_what_it_projects_too(self, is_training, need_weights):
        layer = nn.MultiheadAttention(16, 4, batch_first=True)
        model = Model(
            lambda own, image: own.layer(
                *[as_tokens(own.cut(image))] * 3, need_weights=need_weights
            )[0],
            cut=nn.Conv2d(3, 16, 8, 8),
            layer=layer,
        ).train(is_training)
        tokens = 4 * 3
        cut = tokens * 16 * (8 * 8 * 3)
        projected = 4 * tokens * 16 * 16  # to queries, keys and values, and out again
        attended = 2 * tokens * tokens * 16
        assert count_macs(model, Size(32, 24)) == cut + projected + attended

    def test_by_hand_is_counted_as_that_of_torch(self):
        def run(own, image):
            tokens = as_tokens(image)
            return (tokens @ tokens.transpose(1, 2) / 3**0.5).softmax(2) @ tokens

        model = Model(lambda own, image: F.scaled_dot_product_attention(*[as_tokens(image)] * 3))
        assert count_macs(Model(run), Size(5, 7)) == count_macs(model, Size(5, 7))


class TestTheRest:
    @pytest.mark.parametrize(
        "run",
        [
            lambda own, image: F.interpolate(image, scale_factor=2, mode="bilinear"),
            lambda own, image: F.adaptive_avg_pool2d(F.max_pool2d(image, 2), 1),
            lambda own, image: F.layer_norm(F.gelu(image), image.shape[1:]),
            lambda own, image: F.dropout(F.hardswish(image, inplace=True), training=True),
            lambda own, image: F.pad(
                torch.cat([image, image.roll(1, 2)]), (1, 1, 0, 2), mode="reflect"
            ),
            lambda own, image: image * torch.linspace(0, 1, image.shape[3]) + torch.zeros(1),
        ],
        ids=["interpolate", "pool", "norm", "dropout", "move", "scale"],
    )
    def test_costs_nothing(self, run):
        assert count_macs(Model(run), Size(16, 12)) == 0

    @pytest.mark.parametrize(
        ("run", "name"),
        [
            (lambda own, image: torch.fft.rfft2(image), "aten._fft_r2c.default"),
            (lambda own, image: torch.cdist(image, image), "aten._cdist_forward.default"),
            (lambda own, image: torch.linalg.inv(image), "aten.linalg_inv_ex.default"),
            (lambda own, image: image * image.sum().item(), "aten._local_scalar_dense.default"),
        ],
    )
    def test_is_refused_by_its_name(self, run, name):
        says = f"the cost of Model is unknown, as it runs {name}; say in wsikd.models.cost how it"
        with pytest.raises(ConfigError, match=says):
            count_macs(Model(run), Size(8, 8))

    def test_is_refused_of_another_librarys_operation(self):
        with torch.library._scoped_library("wsikd_test", "FRAGMENT") as library:
            library.define("twice(Tensor image) -> Tensor")
            library.impl("twice", lambda image: 2 * image, "Meta")
            model = Model(lambda own, image: torch.ops.wsikd_test.twice(image))
            with pytest.raises(ConfigError, match=r"as it runs wsikd_test\.twice\.default"):
                count_macs(model, Size(8, 8))


class TestTheModel:
    def test_stays_as_it_was(self):
        model = build_model("resnet10w32", 2)
        count_macs(model, Size(32, 32))
        assert {parameter.device.type for parameter in model.parameters()} == {"cpu"}
        assert not any(module._forward_hooks for module in model.modules())

    def test_may_have_tensors_that_are_not_saved(self):
        model = Model(lambda own, image: image @ own.table)
        model.register_buffer("table", torch.ones(8, 2), persistent=False)
        assert count_macs(model, Size(8, 5)) == 3 * 5 * 8 * 2
        assert model.table.device.type == "cpu"

    def test_is_counted_alike_where_gradients_are_off_for_good(self):
        model, size = build_model("resnet10w32", 2), Size(40, 33)
        with torch.inference_mode():
            found = count_macs(model, size)
        assert found == count_macs(model, size)
