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
