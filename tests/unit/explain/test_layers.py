import pytest

from wsikd.explain.layers import measure_strides
from wsikd.models import build_model


@pytest.mark.usefixtures("small_timm")
def test_strides_are_those_of_the_networks_own_layers():
    # an unpadded convolution of stride 8 and one of stride 4
    found = measure_strides(build_model("mobilenetv2", 0).eval())
    assert found == {"blocks.0": 8, "blocks.1": 32, "head": 32}


def test_measuring_leaves_no_hooks_and_no_statistics():
    model = build_model("resnet10w32-bn", 2)
    measure_strides(model)
    assert not any(module._forward_hooks for module in model.modules())
    assert model.bn1.num_batches_tracked == 0
