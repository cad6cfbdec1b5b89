"""Time the steps of networks on a GPU, whole and in parts: what fused kernels and bfloat16 gain.

python -m tests.benchmarks.measure_kernels --seconds 2 --json kernels.json

For each network, forward and backward: as it is by default, with fused norms, with fused norms and
maps in bfloat16, its batch-norm twin in the same precision, and its convolutions alone, with norms
and activations left out. To that the norms' bytes are added at the rate of a copy, which is the
least that the whole could take with these convolutions. On a CPU only what it computes is shown.
"""

import argparse
import json
from pathlib import Path

import torch

from wsikd.bench import describe_machine, measure_ceilings
from wsikd.geometry import Size
from wsikd.methods.speed import noise
from wsikd.models import Network
from wsikd.models.floor import floor_seconds, list_work
from wsikd.models.groupnorm import GroupNorm
from wsikd.models.seeding import build_seeded
from wsikd.training.device import Way, choose_device
from wsikd.training.machine import Machine
from wsikd.training.timing import seconds_of

ROWS = (
    ("resnet10w32", Size(2048, 2048), 1),
    ("resnet18", Size(2048, 2048), 1),
    ("resnet34", Size(2048, 2048), 1),
    ("resnet50", Size(2048, 2048), 1),
    ("resnet50", Size(224, 224), 128),
)
NORMS = ("native_group_norm", "native_group_norm_backward", "add_")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--device", default="auto")
    asked.add_argument("--seconds", type=float, default=2.0)
    asked.add_argument("--side", type=int, help="instead of 2048")
    asked.add_argument("--json", type=Path)
    told = asked.parse_args()
    device = choose_device(told.device)
    is_gpu = device.type == "cuda"
    ways = {"eager fp32": Way(), "eager bf16": Way(torch.bfloat16)}
    ways |= {"fused fp32": Way(fused=True), "fused bf16": Way(torch.bfloat16, fused=True)}
    ways = {name: way for name, way in ways.items() if is_gpu or not way.fused}
    usual = Machine(device, 2**60)
    best = measure_ceilings(usual, told.seconds)
    print(describe_machine(usual))
    copied, multiplied = best.bytes_per_s / 1e12, best.flops_per_s / 1e12
    print(f"copy {copied:.3g} TB/s, products {multiplied:.3g} TFLOP/s")
    rows = []
    for name, shape, many in ROWS:
        small = told.side and shape.width == 2048
        size = Size(told.side, told.side) if small else shape
        count = many if is_gpu else min(many, 2)
        row = {"network": name, "size": list(size), "count": count}
        networks = {kind: (build_seeded(name, 3, seed=0), way) for kind, way in ways.items()}
        networks["batch norm bf16"] = build_seeded(f"{name}-bn", 3, seed=0), ways["eager bf16"]
        alone = without_norms(build_seeded(name, 3, seed=0))  # laid out as with fused norms
        networks["convolutions bf16"] = alone, Way(torch.bfloat16, fused=True)
        sizes = [size] * count
        for kind, (network, way) in networks.items():
            row[kind] = step_seconds(network, sizes, way, device, told.seconds)
        work = list_work(build_seeded(name, 3, seed=0), size, count=count)
        norms = [each for each in work if each.name in NORMS]
        row["norms at the rate of a copy"] = floor_seconds(norms, best)
        row["floor"] = floor_seconds(work, best)
        rows.append(row)
        print(tell(row))
    if told.json:
        told.json.write_text(json.dumps({"device": str(device), "rows": rows}, indent=1))


def step_seconds(
    network: Network, sizes: list[Size], way: Way, device: torch.device, seconds: float
) -> float:
    machine = Machine(device, 2**60, way)
    if network.rounds:
        machine.place(network)
    else:
        network.precision = way.precision  # cuDNN's batch norm adds up in float32 by itself
        network.to(device, memory_format=torch.channels_last)
    images = noise(sizes, machine)

    def learn() -> None:
        network(images).logits.sum().backward()

    return seconds_of(learn, machine, seconds)


def without_norms(network: Network) -> Network:
    network.fuse(fused=True)
    for part in network.modules():
        if isinstance(part, GroupNorm):
            part.forward = lambda image, *_told, **_more: image
    return network


def tell(row: dict) -> str:
    times = [
        f"{kind} {1e3 * value:.3g} ms" for kind, value in row.items() if isinstance(value, float)
    ]
    width, height = row["size"]
    return f"{row['network']}, {row['count']} of {width} x {height}: " + ", ".join(times)


if __name__ == "__main__":
    main()
