"""Pad-crop and flip against a loop over single images; normalisation against NumPy in float64."""

import numpy as np
import pytest
import torch

from reslab import streams
from reslab.data.augment import crop_and_flip
from reslab.data.normalise import Normalisation, channel, pixel_mean


def pixels(n=24, c=3, size=8):
    return torch.from_numpy(streams.below(256, streams.bits(n * c * size * size, "test")).astype(np.uint8)).view(
        n, c, size, size
    )


def slow(images, dy, dx, flip, pad):
    found = []
    for image, y, x, mirrored in zip(images.numpy(), dy, dx, flip, strict=True):
        size = image.shape[-1]
        window = np.pad(image, ((0, 0), (pad, pad), (pad, pad)))[:, y : y + size, x : x + size]
        found.append(window[:, :, ::-1] if mirrored else window)
    return np.stack(found)


@pytest.mark.parametrize("pad", [0, 1, 4])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_against_a_loop_over_images(pad, channels, memory):
    images = torch.from_numpy(streams.uniform(30 * channels * 64, "x").reshape(30, channels, 8, 8)).float()
    dy, dx = (torch.from_numpy(streams.below(2 * pad + 1, streams.bits(30, name))) for name in ("dy", "dx"))
    flip = torch.from_numpy(streams.bits(30, "flip") % 2 == 1)
    out = crop_and_flip(images.contiguous(memory_format=memory), dy, dx, flip, pad=pad)
    assert np.array_equal(out.numpy(), slow(images, dy.tolist(), dx.tolist(), flip.tolist(), pad))


def test_every_window_and_both_mirrors():
    images = (torch.arange(2 * 9, dtype=torch.float32) + 1).view(2, 1, 3, 3)
    for y in range(3):
        for x in range(3):
            for mirrored in (False, True):
                dy, dx = torch.full((2,), y), torch.full((2,), x)
                out = crop_and_flip(images, dy, dx, torch.full((2,), mirrored), pad=1)
                assert np.array_equal(out.numpy(), slow(images, [y] * 2, [x] * 2, [mirrored] * 2, 1))


def test_no_padding_and_no_flip_is_the_identity():
    images = torch.rand(5, 3, 8, 8)
    zero = torch.zeros(5, dtype=torch.int64)
    assert torch.equal(crop_and_flip(images, zero, zero, zero.bool(), pad=0), images)


def test_the_middle_window_is_the_identity_too():
    images = torch.rand(5, 3, 8, 8)
    middle = torch.full((5,), 4)
    assert torch.equal(crop_and_flip(images, middle, middle, torch.zeros(5, dtype=torch.bool), pad=4), images)


def test_inputs_are_left_alone():
    images = torch.rand(4, 1, 6, 6)
    before = images.clone()
    one = torch.zeros(4, dtype=torch.int64)
    crop_and_flip(images, one, one, one == 0, pad=2).fill_(7)
    assert torch.equal(images, before)


def test_padding_comes_after_the_mean_is_subtracted():
    """He 2015 pads the mean-subtracted image: what is outside of it is exactly 0, not minus the mean."""
    images = pixels().clamp_min(1)
    normalised = pixel_mean(images)(images)
    corner = torch.zeros(len(images), dtype=torch.int64)
    out = crop_and_flip(normalised, corner, corner, corner.bool(), pad=4)
    assert (out[:, :, :4] == 0).all()
    assert (out[:, :, :, :4] == 0).all()
    assert torch.equal(out[:, :, 4:, 4:], normalised[:, :, :4, :4])
    assert (out[:, :, 4:, 4:] != 0).any()


@pytest.mark.parametrize("channels", [1, 3])
def test_pixel_mean_against_numpy(channels):
    images = pixels(c=channels)
    found = pixel_mean(images)
    assert np.array_equal(found.mean.numpy(), (images.numpy().astype(np.float64) / 255).mean(0).astype(np.float32)) or (
        np.abs(found.mean.numpy() - (images.numpy().astype(np.float64) / 255).mean(0)).max() < 1e-7
    )
    assert found.std.tolist() == [[[1.0]]]
    assert np.allclose(
        found(images).numpy(), images.numpy() / 255 - (images.numpy() / 255).mean(0, keepdims=True), atol=1e-6
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_channel_against_numpy(channels):
    images = pixels(c=channels)
    exact = images.numpy().astype(np.float64) / 255
    found = channel(images)
    assert found.mean.shape == found.std.shape == (channels, 1, 1)
    assert np.allclose(found.mean.flatten().numpy(), exact.mean((0, 2, 3)), rtol=0, atol=1e-7)
    assert np.allclose(found.std.flatten().numpy(), exact.std((0, 2, 3)), rtol=0, atol=1e-7)
    out = found(images).double()
    assert out.mean((0, 2, 3)).abs().max() < 1e-5
    assert (out.std((0, 2, 3), correction=0) - 1).abs().max() < 1e-5


def test_both_are_exact_sums_whatever_the_order_of_images_and_memory():
    images = pixels(n=500)
    shuffled = images.flip(0).contiguous(memory_format=torch.channels_last)
    for make in (pixel_mean, channel):
        assert torch.equal(make(images).mean, make(shuffled).mean)
        assert torch.equal(make(images).std, make(shuffled).std)


def test_a_constant_channel_is_not_divided_by_zero():
    images = torch.full((4, 1, 8, 8), 200, dtype=torch.uint8)
    assert torch.isfinite(channel(images)(images)).all()
    assert channel(images)(images).abs().max() < 1e-4


def test_moving_to_a_device_keeps_the_values():
    norm = Normalisation(torch.rand(3, 8, 8), torch.ones(1, 1, 1))
    moved = norm.to(torch.device("cpu"))
    assert torch.equal(moved.mean, norm.mean)
    assert torch.equal(moved.std, norm.std)
