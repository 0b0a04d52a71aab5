"""Converts pixels to the integers of a network's input."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from dscim.arrays import Float64, Int8, UInt8
from dscim.errors import UserError

IMAGENET_SCALING = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of each channel in the training of ImageNet networks."""


@dataclass(frozen=True)
class Input:
    """The scaling of a network's input images.

    A pixel represents the real number (pixel / 255 - mean) / std, with one mean and std per
    channel or one for all. Its int8 is that number divided by `scale`, plus `zero`, rounded half
    to even and clamped.
    """

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    scale: float = 1 / 255
    zero: int = -128

    @classmethod
    def spanning(cls, mean: tuple[float, ...], std: tuple[float, ...]) -> "Input":
        """The input whose 256 integers span the range of all pixels."""
        low = min(-m / s for m, s in zip(mean, std, strict=True))
        high = max((1 - m) / s for m, s in zip(mean, std, strict=True))
        scale = (high - low) / 255
        return cls(mean, std, scale, int(np.clip(round(-128 - low / scale), -128, 127)))

    @classmethod
    def of(cls, network: Any) -> "Input":
        """The input in a network's provenance, or else from its scale; UserError if unclear.

        network: a `dscim.host.network.Network`. A scale of 1/255 means pixels as 0..1, and a scale
        of 1 means pixels as 0..255, each with the zero point -128.
        """
        known = network.provenance.get("input")
        if isinstance(known, dict):
            return cls(tuple(known["mean"]), tuple(known["std"]), network.scale, network.zero)
        for std in (1.0, 1 / 255):
            if network.zero == -128 and abs(network.scale * 255 * std - 1) < 0.02:
                return cls((0.0,), (std,), network.scale, network.zero)
        raise UserError(
            f"the scaling of pixels for the network {network.name!r} is unknown (scale "
            f"{network.scale:.6g}, zero point {network.zero}): give --mean and --std."
        )

    def reals(self, channels: int) -> Float64:
        """The real number of each pixel value in each channel, (channels, 256)."""
        if not {len(self.mean), len(self.std)} <= {1, channels}:
            raise UserError(
                f"{len(self.mean)} means and {len(self.std)} deviations do not fit "
                f"images of {channels} channels."
            )
        mean, std = (
            np.broadcast_to(np.array(v, np.float64)[:, None], (channels, 1))
            for v in (self.mean, self.std)
        )
        return (np.arange(256) / 255 - mean) / std

    def table(self, channels: int) -> Int8:
        """The integer of each pixel value in each channel, (channels, 256)."""
        whole = np.rint(self.reals(channels) / self.scale) + self.zero
        return np.clip(whole, -128, 127).astype(np.int8)

    def integers(self, images: UInt8) -> Int8:
        """Images uint8 (N, H, W, C) as the network's input, int8 of the same shape."""
        channels = images.shape[3]
        return self.table(channels)[np.arange(channels), images]
