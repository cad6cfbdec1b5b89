import os
import subprocess
import sys

import pytest

from wsikd.geometry import Size
from wsikd.models.footprint import count_peak
from wsikd.models.policies import POLICIES
from wsikd.models.seeding import build_seeded
from wsikd.training.memory import choose_policy, least_policy, most_pixels, predict_peak

LARGE = Size(20_000, 20_000)
GIB = 2**30

# memory that is freed goes back to the system at once, so that a peak is of what was there at once
EXACT = dict.fromkeys(("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"), "65536")
STEP = """
import sys, torch
from pathlib import Path
from wsikd.models import build_model
torch.set_num_threads(1)
architecture, policy, side, training = sys.argv[1:]
model = build_model(architecture, 2).to(memory_format=torch.channels_last)
model.policy = policy
image = torch.zeros(1, 3, int(side), int(side)).to(memory_format=torch.channels_last)
with torch.set_grad_enabled(training == "True"):
    logits = model(image).logits
    if training == "True":
        logits.sum().backward()
# not what getrusage says, which begins at the peak of the process that started this one
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(status["VmHWM"].split()[0])
"""


def measure(*arguments):
    command = [sys.executable, "-c", STEP, *map(str, arguments)]
    told = subprocess.run(
        command, env=os.environ | EXACT, check=True, stdout=subprocess.PIPE, text=True
    )
    return int(told.stdout) * 1024


@pytest.fixture(scope="module")
def model():
    return build_seeded("resnet10w32", 2, seed=0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak of a process")
@pytest.mark.parametrize(
    ("policy", "training", "sides"),
    [
        ("plain", True, (512, 1536)),
        ("checkpoint", True, (512, 1536)),
        ("plain", False, (1024, 1792)),  # less would be hidden below what importing takes
    ],
)
def test_the_peak_of_a_process_is_what_was_predicted(model, policy, training, sides):
    small, large = (measure("resnet10w32", policy, side, training) for side in sides)
    predicted = [predict_peak(model, Size(side, side), policy, training=training) for side in sides]
    # the difference, from which the program itself falls out
    assert (large - small) / (predicted[1] - predicted[0]) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("training", [True, False])
def test_any_size_is_predicted_from_few_that_were_counted(model, policy, training):
    standing = sum(4 * tensor.numel() for tensor in model.parameters()) * (5 if training else 1)
    for size in (Size(6000, 5000), Size(20_000, 600)):
        counted = standing + count_peak(model, size, policy, training=training)
        predicted = predict_peak(model, size, policy, training=training)
        assert predicted / counted == pytest.approx(1, abs=0.15)


def test_every_policy_needs_less_than_the_one_before_on_large_regions():
    model = build_seeded("resnet18", 2, seed=0)
    needed = [predict_peak(model, LARGE, policy) for policy in POLICIES]
    assert needed == sorted(needed, reverse=True)
    assert needed[-1] < needed[0] / 3


def test_the_first_policy_that_fits_is_chosen(model):
    assert model.policies == POLICIES
    for policy in POLICIES:
        needed = predict_peak(model, LARGE, policy)
        fastest = next(one for one in POLICIES if predict_peak(model, LARGE, one) <= needed)
        assert choose_policy(model, LARGE, needed) == fastest
    plain = predict_peak(model, LARGE, "plain")
    assert choose_policy(model, LARGE, plain - 1) != "plain"


def test_without_gradients_only_a_tiled_stem_makes_a_difference(model):
    plain = predict_peak(model, LARGE, "plain", training=False)
    assert choose_policy(model, LARGE, plain, training=False) == "plain"
    assert choose_policy(model, LARGE, plain - 1, training=False) == "tiled"


def test_of_what_no_policy_fits_none_is_chosen_and_the_one_that_needs_least_is_known(model):
    assert choose_policy(model, LARGE, 8 * GIB) is None
    assert least_policy(model, LARGE, training=True) == "tiled"


def test_batch_norm_has_the_plain_way_alone():
    model = build_seeded("resnet10w32-bn", 2, seed=0)
    assert choose_policy(model, LARGE, 8 * GIB) is None
    assert least_policy(model, LARGE, training=True) == "plain"


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("policy", ["plain", "tiled"])
def test_as_many_pixels_fit_as_are_predicted_to_take_the_room(model, policy, training):
    room = 3 * GIB
    most = most_pixels(model, room, policy, training=training)
    assert predict_peak(model, Size(most, 1), policy, training=training) <= room
    assert predict_peak(model, Size(most + 2, 1), policy, training=training) > room


def test_no_pixel_fits_where_the_weights_do_not(model):
    assert most_pixels(model, 1000, "plain", training=True) == 0


def test_the_network_is_left_as_it_was(model):
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    count_peak(model, Size(64, 64), "tiled", training=True)
    assert model.policy == "plain"
    assert all(tensor.grad is None for tensor in model.parameters())
    assert all(tensor.equal(weights[name]) for name, tensor in model.state_dict().items())
