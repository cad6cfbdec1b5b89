"""Group normalisation, residual, ReLU and mask in one pass: the kernels in Triton.

Images lie as (N, P, C) in memory, P = H * W places of C channels each (channels last). An image's
places are parted into tiles. What is summed over places is summed within each tile first, and then
over tiles in their order, so every repetition gives the same bits. All arithmetic is in float32,
and all offsets are of 64 bits. What lies beyond an image's own height and width, its `sizes`, is
never read, and is written as 0.

Mean and variance are those of Chan, Golub and LeVeque ("Updating formulae and a pairwise algorithm
for computing sample variances", 1979): tiles have a mean and a sum of squares about it, which are
merged, so that values far from 0 lose nothing.

A module of its own, as it needs Triton to be read at all.
"""

import inspect

import triton
import triton.language as tl

# of every size of region there would be another kernel if these were compiled in; C, which few
# layers share, is, as vectors of channels are read
_OF_SIZE = ("P", "width", "tile_places", "tiles", "groups")


def _compiled(kernel):
    """Compile a kernel for what its channels and images are, not for their sizes."""
    names = inspect.signature(kernel).parameters
    return triton.jit(do_not_specialize=[name for name in _OF_SIZE if name in names])(kernel)


@triton.jit
def _inside(places, sizes, image, width, MASKED: tl.constexpr):
    """Tell which places of an image lie within its own height and width."""
    if MASKED:
        own_height = tl.load(sizes + 2 * image)
        own_width = tl.load(sizes + 2 * image + 1)
        return (places // width < own_height) & (places % width < own_width)
    return places >= 0


@triton.jit
def _count_before(place, sizes, image, width, MASKED: tl.constexpr):
    """Count the places inside an image before one of them."""
    if MASKED:
        own_height = tl.load(sizes + 2 * image)
        own_width = tl.load(sizes + 2 * image + 1)
        row = place // width
        begun = tl.where(row < own_height, tl.minimum(place % width, own_width), 0)
        return tl.minimum(row, own_height) * own_width + begun
    return place


@triton.jit
def _values(start, places, channels, known, C):
    """Read values of (places, channels) as float32; 0 where they are not known."""
    offsets = places.to(tl.int64)[:, None] * C + channels[None, :]
    return tl.load(start + offsets, mask=known, other=0.0).to(tl.float32)


@triton.jit
def _pair(one, other, places, known):
    """Read two numbers for each place as float32; 0 where they are not known."""
    first = tl.load(one + places, mask=known, other=0.0).to(tl.float32)
    second = tl.load(other + places, mask=known, other=0.0).to(tl.float32)
    return first, second


@_compiled
def measure_tiles(
    x, means, squares, sizes, x_stride, P, width, C, tile_places,
    MASKED: tl.constexpr, BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """Write mean and sum of squares about it of each tile and channel, (N, tiles, C) each."""
    tile, image = tl.program_id(0), tl.program_id(2).to(tl.int64)
    channels = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    first = tile * tile_places
    last = tl.minimum(first + tile_places, P)
    count = tl.zeros([], tl.float32)
    mean = tl.zeros([BLOCK_C], tl.float32)
    square = tl.zeros([BLOCK_C], tl.float32)
    for begin in range(first, last, BLOCK_P):
        places = begin + tl.arange(0, BLOCK_P)
        here = (places < last) & _inside(places, sizes, image, width, MASKED)
        known = here[:, None] & (channels < C)[None, :]
        values = _values(x + image * x_stride, places, channels, known, C)
        its_count = tl.sum(here.to(tl.float32), 0)
        its_mean = tl.sum(values, 0) / tl.maximum(its_count, 1.0)
        apart = tl.where(here[:, None], values - its_mean[None, :], 0.0)
        total = tl.maximum(count + its_count, 1.0)
        step = its_mean - mean
        square += tl.sum(apart * apart, 0) + step * step * (count * its_count / total)
        mean += step * (its_count / total)
        count += its_count
    place = (image * tl.num_programs(0) + tile) * C + channels
    tl.store(means + place, mean, mask=channels < C)
    tl.store(squares + place, square, mask=channels < C)


@_compiled
def merge_statistics(
    means, squares, mean, scale, sizes, P, width, C, tile_places, tiles, eps,
    MASKED: tl.constexpr, D: tl.constexpr, BLOCK_T: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Write mean and 1 / standard deviation of each group, (N, groups), from those of the tiles."""
    group, image = tl.program_id(0), tl.program_id(1).to(tl.int64)
    lanes = tl.arange(0, BLOCK_D)
    values = D * _count_before(P, sizes, image, width, MASKED).to(tl.float32)
    summed = tl.zeros([BLOCK_T, BLOCK_D], tl.float32)
    for begin in range(0, tiles, BLOCK_T):
        rows = begin + tl.arange(0, BLOCK_T)
        known = (rows < tiles)[:, None] & (lanes < D)[None, :]
        place = (image * tiles + rows.to(tl.int64))[:, None] * C + group * D + lanes[None, :]
        counts = _tile_counts(rows, sizes, image, P, width, tile_places, tiles, MASKED)
        summed += tl.load(means + place, mask=known, other=0.0) * counts[:, None]
    its_mean = tl.sum(tl.sum(summed, 1), 0) / values
    summed = tl.zeros([BLOCK_T, BLOCK_D], tl.float32)
    for begin in range(0, tiles, BLOCK_T):
        rows = begin + tl.arange(0, BLOCK_T)
        known = (rows < tiles)[:, None] & (lanes < D)[None, :]
        place = (image * tiles + rows.to(tl.int64))[:, None] * C + group * D + lanes[None, :]
        counts = _tile_counts(rows, sizes, image, P, width, tile_places, tiles, MASKED)
        apart = tl.load(means + place, mask=known, other=0.0) - its_mean
        more = tl.load(squares + place, mask=known, other=0.0) + counts[:, None] * apart * apart
        summed += tl.where(known, more, 0.0)
    variance = tl.sum(tl.sum(summed, 1), 0) / values
    place = image * tl.num_programs(0) + group
    tl.store(mean + place, its_mean)
    tl.store(scale + place, 1.0 / tl.sqrt(variance + eps))


@triton.jit
def _tile_counts(rows, sizes, image, P, width, tile_places, tiles, MASKED: tl.constexpr):
    """Count the places inside an image of each of some tiles; of those that are none, 0."""
    first = tl.minimum(rows * tile_places, P)
    last = tl.minimum(first + tile_places, P)
    counts = _count_before(last, sizes, image, width, MASKED)
    counts -= _count_before(first, sizes, image, width, MASKED)
    return tl.where(rows < tiles, counts, 0).to(tl.float32)


@_compiled
def apply_norm(
    x, residual, y, weight, bias, mean, scale, sizes, x_stride, residual_stride, y_stride,
    P, width, C, tile_places, groups,
    D: tl.constexpr, ADDS: tl.constexpr, RELU: tl.constexpr, MASKED: tl.constexpr,
    BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """Write what is normalised, with the residual added, and negatives cut off."""
    tile, image = tl.program_id(0), tl.program_id(2).to(tl.int64)
    channels = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    real = channels < C
    its_mean, its_scale = _pair(mean, scale, image * groups + channels // D, real)
    its_weight, shift = _pair(weight, bias, channels, real)
    gain = its_scale * its_weight
    first = tile * tile_places
    last = tl.minimum(first + tile_places, P)
    for begin in range(first, last, BLOCK_P):
        places = begin + tl.arange(0, BLOCK_P)
        written = (places < last)[:, None] & real[None, :]
        here = _inside(places, sizes, image, width, MASKED)[:, None]
        known = written & here
        values = _values(x + image * x_stride, places, channels, known, C)
        result = (values - its_mean[None, :]) * gain[None, :] + shift[None, :]
        if ADDS:
            result += _values(residual + image * residual_stride, places, channels, known, C)
        if RELU:
            result = tl.where(result <= 0, 0.0, result)  # not a number stays so
        result = tl.where(here, result, 0.0)
        offsets = places.to(tl.int64)[:, None] * C + channels[None, :]
        tl.store(y + image * y_stride + offsets, result.to(y.dtype.element_ty), mask=written)


@triton.jit
def _gradient(
    gradient, x, y, image, places, channels, known, gain, shift, its_mean,
    gradient_stride, x_stride, y_stride, C,
    ADDS: tl.constexpr, RELU: tl.constexpr,
):  # fmt: skip
    """Return the gradient before the ReLU, and x less its mean.

    Where something was added the result says what was cut off; elsewhere it is computed again.
    """
    its_gradient = _values(gradient + image * gradient_stride, places, channels, known, C)
    apart = _values(x + image * x_stride, places, channels, known, C) - its_mean[None, :]
    if RELU:
        if ADDS:
            result = _values(y + image * y_stride, places, channels, known, C)
        else:
            result = apart * gain[None, :] + shift[None, :]
        its_gradient = tl.where(result <= 0, 0.0, its_gradient)
    return tl.where(known, its_gradient, 0.0), tl.where(known, apart, 0.0)


@_compiled
def sum_gradients(
    gradient, x, y, weight, bias, mean, scale, along, across, sizes,
    gradient_stride, x_stride, y_stride, P, width, C, tile_places, groups,
    D: tl.constexpr, ADDS: tl.constexpr, RELU: tl.constexpr, MASKED: tl.constexpr,
    BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """Write the sums of the gradient, and of it times the normalised x, (N, tiles, C) each."""
    tile, image = tl.program_id(0), tl.program_id(2).to(tl.int64)
    channels = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    real = channels < C
    its_mean, its_scale = _pair(mean, scale, image * groups + channels // D, real)
    its_weight, shift = _pair(weight, bias, channels, real)
    gain = its_scale * its_weight
    first = tile * tile_places
    last = tl.minimum(first + tile_places, P)
    plain = tl.zeros([BLOCK_C], tl.float32)
    times = tl.zeros([BLOCK_C], tl.float32)
    for begin in range(first, last, BLOCK_P):
        places = begin + tl.arange(0, BLOCK_P)
        here = (places < last) & _inside(places, sizes, image, width, MASKED)
        known = here[:, None] & real[None, :]
        its_gradient, apart = _gradient(
            gradient, x, y, image, places, channels, known, gain, shift, its_mean,
            gradient_stride, x_stride, y_stride, C, ADDS, RELU,
        )  # fmt: skip
        plain += tl.sum(its_gradient, 0)
        times += tl.sum(its_gradient * apart, 0)
    place = (image * tl.num_programs(0) + tile) * C + channels
    tl.store(along + place, plain, mask=real)
    tl.store(across + place, times * its_scale, mask=real)


@_compiled
def merge_gradients(
    along, across, weight, to_bias, to_weight, along_mean, across_mean, sizes, P, width, C, tiles,
    MASKED: tl.constexpr, D: tl.constexpr, BLOCK_T: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Write what tiles sum up to: (N, C) for bias and weight, and means of groups, (N, groups)."""
    group, image = tl.program_id(0), tl.program_id(1).to(tl.int64)
    lanes = tl.arange(0, BLOCK_D)
    plain = tl.zeros([BLOCK_T, BLOCK_D], tl.float32)
    times = tl.zeros([BLOCK_T, BLOCK_D], tl.float32)
    for begin in range(0, tiles, BLOCK_T):
        rows = begin + tl.arange(0, BLOCK_T)
        known = (rows < tiles)[:, None] & (lanes < D)[None, :]
        place = (image * tiles + rows.to(tl.int64))[:, None] * C + group * D + lanes[None, :]
        plain += tl.load(along + place, mask=known, other=0.0)
        times += tl.load(across + place, mask=known, other=0.0)
    channels = group * D + lanes
    its_bias, its_weight = tl.sum(plain, 0), tl.sum(times, 0)
    gain = tl.load(weight + channels, mask=lanes < D, other=0.0).to(tl.float32)
    values = D * _count_before(P, sizes, image, width, MASKED).to(tl.float32)
    tl.store(to_bias + image * C + channels, its_bias, mask=lanes < D)
    tl.store(to_weight + image * C + channels, its_weight, mask=lanes < D)
    place = image * tl.num_programs(0) + group
    tl.store(along_mean + place, tl.sum(gain * its_bias, 0) / values)
    tl.store(across_mean + place, tl.sum(gain * its_weight, 0) / values)


@_compiled
def apply_gradients(
    gradient, x, y, weight, bias, mean, scale, along_mean, across_mean, to_x, to_residual, sizes,
    gradient_stride, x_stride, y_stride, to_x_stride, to_residual_stride,
    P, width, C, tile_places, groups,
    D: tl.constexpr, ADDS: tl.constexpr, RELU: tl.constexpr, MASKED: tl.constexpr,
    BLOCK_P: tl.constexpr, BLOCK_C: tl.constexpr,
):  # fmt: skip
    """Write the gradients of x and of the residual."""
    tile, image = tl.program_id(0), tl.program_id(2).to(tl.int64)
    channels = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    real = channels < C
    of_group = image * groups + channels // D
    its_mean, its_scale = _pair(mean, scale, of_group, real)
    along, across = _pair(along_mean, across_mean, of_group, real)
    its_weight, shift = _pair(weight, bias, channels, real)
    gain = its_scale * its_weight
    first = tile * tile_places
    last = tl.minimum(first + tile_places, P)
    for begin in range(first, last, BLOCK_P):
        places = begin + tl.arange(0, BLOCK_P)
        written = (places < last)[:, None] & real[None, :]
        here = _inside(places, sizes, image, width, MASKED)[:, None]
        its_gradient, apart = _gradient(
            gradient, x, y, image, places, channels, written & here, gain, shift, its_mean,
            gradient_stride, x_stride, y_stride, C, ADDS, RELU,
        )  # fmt: skip
        offsets = places.to(tl.int64)[:, None] * C + channels[None, :]
        if ADDS:
            place = to_residual + image * to_residual_stride + offsets
            tl.store(place, its_gradient.to(to_residual.dtype.element_ty), mask=written)
        normal = apart * its_scale[None, :]
        found = its_gradient * its_weight[None, :] - along[None, :] - normal * across[None, :]
        found = tl.where(here, found * its_scale[None, :], 0.0)
        place = to_x + image * to_x_stride + offsets
        tl.store(place, found.to(to_x.dtype.element_ty), mask=written)
