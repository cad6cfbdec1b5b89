import torch

from wsikd.geometry import Size
from wsikd.models.images import Images
from wsikd.models.seeding import build_seeded
from wsikd.training.machine import Machine
from wsikd.training.memory import predict_peak

SIDE = 512


def read(network, room_bytes):
    machine = Machine(torch.device("cpu"), room_bytes)
    machine.reading(network)(Images(torch.zeros(1, 3, SIDE, SIDE)))
    return network.policy


def test_a_network_that_learns_is_computed_by_the_policy_that_has_room():
    network = build_seeded("resnet18", 2, seed=0)
    plain = predict_peak(network, Size(SIDE, SIDE), "plain")
    assert read(network, plain) == "plain"
    assert read(network, plain - 1) == "recompute"


def test_a_network_of_which_the_last_layer_learns_takes_what_reading_takes():
    network = build_seeded("resnet18", 2, seed=0).requires_grad_(False)
    network.fc.requires_grad_(True)
    room = predict_peak(network, Size(SIDE, SIDE), "plain", training=False)
    assert room < predict_peak(network, Size(SIDE, SIDE), "checkpoint")
    assert read(network, room) == "plain"


def draw(*sizes):
    random = torch.Generator().manual_seed(0)
    return [torch.randn(3, size.height, size.width, generator=random) for size in sizes]


def read_together(network, images):
    """Return what a machine sees in a batch, and the shapes that the network was shown."""
    shapes = []
    hook = network.register_forward_pre_hook(
        lambda _, shown: shapes.append(tuple(shown[0].pixels.shape))
    )
    read = Machine(torch.device("cpu"), 2**34).reading(network)
    seen = read(Images.pad(images, torch.channels_last))
    hook.remove()
    return seen, shapes


def read_alone(network, image):
    return network(image[None].contiguous(memory_format=torch.channels_last))


def test_large_images_of_unequal_sizes_are_computed_one_by_one_and_put_together():
    network = build_seeded("resnet10w32", 2, seed=0)
    images = draw(Size(200, 300), Size(320, 170), Size(40, 40))
    together, shapes = read_together(network, images)
    assert shapes == [(1, 3, 300, 200), (1, 3, 170, 320), (1, 3, 40, 40)]
    assert together.sizes == (Size(7, 10), Size(10, 6), Size(2, 2))
    assert together.feature_map.shape[2:] == (10, 10)
    for index, (image, size) in enumerate(zip(images, together.sizes, strict=True)):
        alone, own = read_alone(network, image), together.feature_map[index]
        assert torch.equal(together.logits[index], alone.logits[0])
        assert torch.equal(own[:, : size.height, : size.width], alone.feature_map[0])
        assert not own[:, size.height :].any()
        assert not own[:, :, size.width :].any()


def test_small_images_or_images_of_one_size_are_computed_at_once():
    network = build_seeded("resnet10w32", 2, seed=0)
    assert read_together(network, draw(Size(30, 40), Size(40, 20)))[1] == [(2, 3, 40, 40)]
    alike, shapes = read_together(network, draw(Size(200, 300), Size(200, 300)))
    assert shapes == [(2, 3, 300, 200)]
    assert alike.sizes is None


def test_gradients_of_images_computed_one_by_one_are_the_sum_of_each():
    network = build_seeded("resnet10w32", 2, seed=0)
    images = draw(Size(200, 300), Size(320, 170))
    read_together(network, images)[0].logits.logsumexp(1).sum().backward()
    together = [weight.grad.clone() for weight in network.parameters()]
    network.zero_grad()
    for image in images:
        read_alone(network, image).logits.logsumexp(1).sum().backward()
    for found, weight in zip(together, network.parameters(), strict=True):
        assert (found - weight.grad).norm() <= 1e-6 * weight.grad.norm()


def test_images_that_are_only_read_need_the_room_of_the_largest_alone():
    network = build_seeded("resnet18", 2, seed=0).requires_grad_(False)
    images = Images.pad(draw(Size(512, 512), Size(512, 511)), torch.channels_last)
    room = predict_peak(network, Size(512, 512), "plain", training=False)
    Machine(torch.device("cpu"), room).reading(network)(images)
    assert network.policy == "plain"
