"""The kernels of group normalisation: in Triton's interpreter on a CPU, or as they are on a GPU."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

pytest.importorskip("triton", reason="Triton is not there for this platform")
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
if DEVICE.type == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("Triton's interpreter is off", allow_module_level=True)

from wsikd.models.kernels.norm import group_norm_act  # noqa: E402  needs Triton

EPS = 1e-5


def draw(shape, seed, dtype=torch.float32, offset=0.0):
    random = torch.Generator().manual_seed(seed)
    image = (torch.randn(shape, generator=random) + offset).to(dtype).to(DEVICE)
    return image.contiguous(memory_format=torch.channels_last) if image.ndim == 4 else image


def by_hand(x, weight, bias, residual, *, groups=32, relu=True, sizes=None):
    """Normalise each image's own part alone, as PyTorch does, with zeros beyond."""
    rows = []
    for index, image in enumerate(x):
        height, width = image.shape[1:] if sizes is None else sizes[index]
        own = image[None, :, :height, :width]
        values = own.reshape(1, groups, -1)
        centred = values - values.mean(2, keepdim=True)
        normal = centred / (centred.square().mean(2, keepdim=True) + EPS).sqrt()
        own = normal.view_as(own) * weight[:, None, None] + bias[:, None, None]
        if residual is not None:
            own = own + residual[index, :, :height, :width]
        own = own.relu() if relu else own
        beyond = (0, image.shape[2] - width, 0, image.shape[1] - height)
        rows.append(F.pad(own[0], beyond))
    return torch.stack(rows)


def compute(function, tensors, gradient):
    """Return a result and the gradients of all tensors that there are."""
    leaves = [None if one is None else one.detach().requires_grad_() for one in tensors]
    result = function(*leaves)
    result.backward(gradient.to(result.dtype))
    return [result.detach()] + [one.grad for one in leaves if one is not None]


def kernel_of(groups, relu, sizes):
    limits = None if sizes is None else torch.tensor(sizes, dtype=torch.int32, device=DEVICE)

    def function(x, weight, bias, residual):
        return group_norm_act(x, weight, bias, groups, EPS, residual, relu, limits)[0]

    return function


def tensors_of(shape, *, residual=True, dtype=torch.float32, offset=0.0):
    channels = shape[1]
    weight, bias = 1 + 0.3 * draw((channels,), 1), 0.3 * draw((channels,), 2)
    return draw(shape, 0, dtype, offset), weight, bias, draw(shape, 3, dtype) if residual else None


def errors(shape, *, relu=True, sizes=None, groups=32, **how):
    """Return the relative distances from float64 of the result and of each gradient."""
    tensors = tensors_of(shape, **how)
    gradient = draw(shape, 4, how.get("dtype", torch.float32))
    found = compute(kernel_of(groups, relu, sizes), tensors, gradient)
    exact = compute(
        partial(by_hand, groups=groups, relu=relu, sizes=sizes),
        [None if one is None else one.double() for one in tensors],
        gradient.double(),
    )
    return [
        ((one.double() - other).norm() / other.norm().clamp_min(1e-3)).item()
        for one, other in zip(found, exact, strict=True)
    ]


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("sizes", [None, ((3, 4), (1, 1), (2, 3))])
def test_result_and_gradients_are_those_of_the_formula(residual, relu, sizes):
    assert max(errors((3, 64, 3, 4), relu=relu, sizes=sizes, residual=residual)) < 3e-6


@pytest.mark.parametrize(
    ("shape", "groups"),
    [((1, 32, 1, 1), 32), ((2, 32, 3, 2), 32), ((1, 96, 4, 3), 32), ((2, 160, 2, 2), 4)],
    ids=["one pixel", "a channel a group", "three channels a group", "forty channels a group"],
)
def test_groups_may_have_any_number_of_values(shape, groups):
    assert max(errors(shape, groups=groups)) < 1e-6


def test_many_tiles_and_blocks_of_channels_are_merged():
    assert max(errors((1, 160, 16, 9))) < 1e-6


def test_values_far_from_zero_lose_little():
    assert max(errors((1, 64, 12, 11), offset=100.0)) < 1e-5


def test_bfloat16_is_rounded_once():
    """The distance is that of rounding what is exact; the interpreter rounds towards 0."""
    tensors = tensors_of((2, 64, 5, 3), dtype=torch.bfloat16)
    found = kernel_of(32, True, None)(*tensors)
    exact = by_hand(*(one.double() for one in tensors))
    assert found.dtype == torch.bfloat16
    rounded = exact.to(torch.bfloat16).double()
    most = 2.1 if DEVICE.type == "cpu" else 1.01
    assert (found.double() - exact).norm() <= most * (rounded - exact).norm()
    assert max(errors((2, 64, 5, 3), dtype=torch.bfloat16)) < 8e-3


def test_what_lies_beyond_an_image_is_not_read_and_becomes_zero():
    sizes = ((3, 2), (2, 4))
    tensors = tensors_of((2, 32, 4, 5))
    with torch.no_grad():
        for image, residual, (height, width) in zip(tensors[0], tensors[3], sizes, strict=True):
            for one in (image, residual):
                one[:, height:] = float("nan")
                one[:, :, width:] = float("nan")
    found = compute(kernel_of(32, True, sizes), tensors, torch.full((2, 32, 4, 5), 7.0).to(DEVICE))
    assert all(one.isfinite().all() for one in found)
    for one in (found[0], found[1], found[4]):
        assert not one[0, :, 3:].any()
        assert not one[1, :, :, 4:].any()


def test_what_is_not_a_number_makes_its_group_so():
    x, weight, bias, residual = tensors_of((2, 64, 3, 3))
    x[1, 5, 2, 2] = float("nan")
    result = kernel_of(32, True, None)(x, weight, bias, residual)
    lost = result.isnan()
    assert lost[1, 4:6].all()  # two channels a group
    assert lost.sum() == 2 * 9


def test_every_repetition_gives_the_same_bits():
    tensors, gradient = tensors_of((2, 64, 9, 8)), draw((2, 64, 9, 8), 4)
    function = kernel_of(32, True, ((9, 8), (4, 7)))
    first, second = (compute(function, tensors, gradient) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def test_offsets_may_be_beyond_32_bits():
    """Two small images lie further apart than 2³¹ values; what is between is never touched."""
    apart = 2**31 + 64
    memory = torch.empty(apart + 64 * 6, dtype=torch.bfloat16, device=DEVICE)
    x = memory.as_strided((2, 64, 2, 3), (apart, 1, 3 * 64, 64))
    near = draw((2, 64, 2, 3), 0, torch.bfloat16)
    x.copy_(near)
    weight, bias = torch.ones(64, device=DEVICE), torch.zeros(64, device=DEVICE)
    found, expected = (
        group_norm_act(one, weight, bias, 32, EPS, None, True, None)[0] for one in (x, near)
    )
    assert torch.equal(found, expected)


def test_pytorch_takes_it_as_one_operation_with_a_derivative():
    x, weight, bias, residual = (one.requires_grad_() for one in tensors_of((2, 32, 2, 2)))
    sizes = torch.tensor([[2, 2], [1, 2]], dtype=torch.int32, device=DEVICE)
    torch.library.opcheck(group_norm_act, (x, weight, bias, 32, EPS, residual, True, sizes))
    some = ("test_schema", "test_faketensor")
    for more in ((None, True, None), (residual, False, None)):
        torch.library.opcheck(group_norm_act, (x, weight, bias, 32, EPS, *more), test_utils=some)


def test_other_precisions_are_refused():
    x, weight, bias, _ = tensors_of((1, 32, 2, 2))
    with pytest.raises(TypeError, match=r"float32 or bfloat16, got torch\.float64"):
        group_norm_act(x.double(), weight, bias, 32, EPS, None, True, None)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_more_than_two_to_the_31st_values_are_normalised():
    x = torch.empty((1, 64, 5800, 5800), dtype=torch.bfloat16, device=DEVICE)
    x = x.contiguous(memory_format=torch.channels_last).normal_()
    assert x.numel() > 2**31
    one = torch.ones(64, device=DEVICE)
    y = group_norm_act(x, one, 0 * one, 32, EPS, None, False, None)[0]
    corner = y[:, :, -64:, -64:].float()
    assert corner.mean().abs() < 0.02
    assert (corner.std() - 1).abs() < 0.02


def test_checkpointing_gives_the_same_bits():
    tensors, gradient = tensors_of((1, 32, 4, 4)), draw((1, 32, 4, 4), 4)
    function = kernel_of(32, True, None)

    def again(*leaves):
        return checkpoint(function, *leaves, use_reentrant=False)

    plain, computed_again = (compute(one, tensors, gradient) for one in (function, again))
    assert all(torch.equal(one, other) for one, other in zip(plain, computed_again, strict=True))


COMPILE = """
import itertools
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from wsikd.models.kernels import norm_kernels

KINDS = ({"MASKED": True, "ADDS": True, "RELU": True, "D": 2},
         {"MASKED": False, "ADDS": False, "RELU": True, "D": 1})
BLOCKS = {"BLOCK_P": 64, "BLOCK_C": 64, "BLOCK_T": 64, "BLOCK_D": 2}
IMAGES = {"x", "y", "residual", "gradient", "to_x", "to_residual"}
NUMBERS = {"P", "width", "C", "tile_places", "tiles", "groups"}


def type_of(name):
    if name in IMAGES:
        return "*bf16"
    if name.endswith("_stride"):
        return "i64"
    return {"sizes": "*i32", "eps": "fp32"}.get(name, "i32" if name in NUMBERS else "*fp32")


FIRST = {"measure", "merge", "apply", "sum"}
kernels = [name for name in dir(norm_kernels) if name.split("_")[0] in FIRST]
for name, kinds, capability in itertools.product(kernels, KINDS, (80, 90)):
    kernel = getattr(norm_kernels, name)
    # a whole number of 1 would be compiled in, and be no tensor then
    assert {"P", "width", "tiles"} & set(kernel.arg_names) <= set(kernel.do_not_specialize)
    fixed = {key: value for key, value in {**kinds, **BLOCKS}.items() if key in kernel.arg_names}
    types = {key: "constexpr" if key in fixed else type_of(key) for key in kernel.arg_names}
    source = ASTSource(fn=kernel, signature=types, constexprs=fixed)
    options = {"num_warps": 4, "enable_fp_fusion": False}
    made = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
    print(name, capability, len(made.asm["cubin"]))
"""


def test_kernels_compile_for_gpus_that_are_not_there(tmp_path):
    """For an A100 and an H100, by what Triton brings along; nothing is run."""
    place = {
        "TRITON_INTERPRET": "0",
        "TRITON_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": str(Path.cwd()),
    }
    told = subprocess.run(
        [sys.executable, "-W", "error", "-c", COMPILE],
        env=os.environ | place, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    lines = [line.split() for line in told.stdout.splitlines()]
    assert len(lines) == 6 * 2 * 2
    assert all(int(size) > 1000 for _, _, size in lines)
