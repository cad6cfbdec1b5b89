import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from wsikd.data.likeness import SMALLEST, find_alike, perceptual_hash, pixel_digest


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_a_digest_is_of_pixels_and_shape_and_not_of_the_file():
    image = noise(4, 6)
    saved = io.BytesIO()
    Image.fromarray(image).save(saved, "TIFF", compression="tiff_lzw")
    assert pixel_digest(np.asarray(Image.open(saved))) == pixel_digest(image)
    assert pixel_digest(image[::-1][::-1]) == pixel_digest(image)  # however it lies in memory
    assert pixel_digest(image.reshape(6, 4, 3)) != pixel_digest(image)
    image[0, 0, 0] ^= 1
    assert pixel_digest(image) != pixel_digest(noise(4, 6))


def test_one_colour_shows_nothing_to_be_known_by():
    plain = np.full((64, 64, 3), (240, 238, 241), np.uint8)
    assert (pixel_digest(plain), perceptual_hash(plain)) == ("", "")


def test_small_images_have_no_perceptual_hash():
    assert perceptual_hash(noise(SMALLEST, SMALLEST - 1)) == ""
    assert len(perceptual_hash(noise(SMALLEST, SMALLEST))) == 16


def test_the_nearest_is_found_within_eight_bits():
    known = ["", f"{0xFF:016x}", f"{0xFFFF:016x}"]
    asked = [f"{0xFFF:016x}", "", f"{0x1FF:016x}", f"{2**63:016x}"]
    assert list(find_alike(known, asked)) == [(1, 0), (1, 2)]
    assert list(find_alike([], asked)) == list(find_alike([""], asked)) == []


def variants(image):
    """Save again, halve, brighten: what people do to a tile."""
    saved = io.BytesIO()
    picture = Image.fromarray(image)
    picture.save(saved, "JPEG", quality=50)
    yield Image.open(saved).convert("RGB")
    yield picture.resize((image.shape[1] // 2, image.shape[0] // 2))
    yield ImageEnhance.Brightness(picture).enhance(1.1)


@pytest.mark.parametrize("name", ["tiles_lymph_node", "tiles_colon"])
def test_real_tiles_are_known_again_and_rarely_taken_for_others(shared_data, name):
    paths = sorted((shared_data / name).rglob("*.jpg"))[::5]
    assert len(paths) > 200
    images = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    hashes = [perceptual_hash(image) for image in images]
    for place in range(1, len(hashes)):
        assert list(find_alike(hashes[:place], [hashes[place]])) == []
    for place in range(0, 200, 10):
        for variant in variants(images[place]):
            again = perceptual_hash(np.asarray(variant))
            assert list(find_alike(hashes, [again])) == [(place, 0)]
