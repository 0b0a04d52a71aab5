"""The DS-CIM product of a convolution in torch, bit for bit the numpy reference's.

Training keeps every weight on a coarse grid: none, 1/P, 2/P ... or all of its row's n points lie
below it (P = 2 gives five weights with their signs). There the counter sequence is truest: of
the A points that an activation exceeds, whole runs of P fall evenly on the grid's steps, by the
van der Corput order, and only the A mod P last ones deviate from A*j/P. So a whole product is
the plain product of the levels and P - 1 corrections, whatever n is. For the signed mode split;
sums stay below 2**24, so single precision is exact.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dscim.gateware.specs import ProductSpec
from dscim.host.errors import UserError
from dscim.host.reference.matrix import region_thresholds

Pair = tuple[int, int]

ROWS = 128
"""Rows of a tile, R: a depthwise channel's rows follow those of R div (KH*KW) - 1 others."""


@dataclass(frozen=True)
class Window:
    """The shape of a convolution without padding, on inputs of `channels`.

    kernel, stride: (y, x). groups: 1, or `channels` where each channel is convolved alone.
    """

    kernel: Pair
    stride: Pair
    channels: int
    groups: int = 1

    def convolve(self, x: Tensor, w: Tensor) -> Tensor:
        """x (B, C, H, W) by w (O, C / groups, KH, KW)."""
        return nn.functional.conv2d(x, w, None, self.stride, 0, 1, self.groups)

    def rows(self) -> Tensor:
        """The row of its tile, modulo any OR width, of each weight of one output.

        (C, KH, KW), and for a depthwise convolution (C, 1, KH, KW), of each channel.
        """
        taps = self.kernel[0] * self.kernel[1]
        if self.groups == 1:
            return torch.arange(taps * self.channels).reshape(
                *self.kernel, self.channels).permute(2, 0, 1)
        places = torch.arange(self.channels) % max(1, ROWS // taps)
        tap = torch.arange(taps).reshape(self.kernel)
        return places[:, None, None, None] * taps + tap


class Counter:
    """The product of one arithmetic for the windows of one convolution.

    Level: how many of the n thresholds of its row an operand exceeds. `effective_*` is what a
    level stands for, in the operand's own integers.
    """

    def __init__(self, spec: ProductSpec, window: Window, grid: int) -> None:
        """spec: signed mode split, sequence counter, not exact.

        grid: P, a power of two; of n points there are no more than n steps.
        """
        if spec.signed != "split" or spec.sequence.kind != "counter" or spec.exact:
            raise UserError("training goes through the signed mode split with the sequence "
                            f"counter only, not {spec.signed} with {spec.sequence.kind}.")
        self.spec, self.samples, self.window = spec, spec.samples, window
        if spec.samples == spec.side:
            raise UserError(f"stream length {spec.length} has no even weight levels: train "
                            f"for {spec.length // 2} or less.")
        thresholds = torch.from_numpy(region_thresholds(spec).astype("int64"))
        p, q = thresholds[:, 0]
        operands = (torch.arange(256) << spec.activation_shift).clamp(max=255)
        reached = (operands[:, None] >> spec.operand_shift > p).sum(1)
        self._first = int((reached < 1).sum())
        self._step = int((reached < 2).sum()) - self._first
        self._parts = min(grid, self.samples)
        level = (torch.arange(0, 256, 2)[:, None] >> spec.operand_shift > q).sum(1)
        self._grid = (level * (self._parts / self.samples)).round()
        self._deviations = _deviations(thresholds[:, :2], self._parts)
        rows = window.rows() % spec.or_width
        self._odd = (rows // spec.root + rows % spec.root) % 2

    def levels(self, x: Tensor, signed: bool) -> Tensor:
        """The levels 0..n of x (integers x - z), with the sign of x where it is `signed`.

        The thresholds are evenly spaced. Unless signed, x is in 0..255.
        """
        size = x.abs() if signed else x
        level = ((size - self._first) / self._step).floor_().add_(1).clamp_(0, self.samples)
        return level.copysign_(x) if signed else level

    def effective_weights(self, w: Tensor) -> Tensor:
        """What the nearest step of the grid to w (-127..127) stands for: -128..128."""
        return self._grid[w.abs().int()] * w.sign() * (128 / self._parts)

    def sums(self, plain: Tensor, levels: Tensor, w: Tensor, signed: bool) -> Tensor:
        """The estimate of every window in product units, float32 integers (B, O, H', W').

        plain: the convolution of what the levels and the weights stand for. levels: (B, C, H, W)
        of the activations; w: (O, C / groups, KH, KW), each the middle of a step: 128*j/P with a
        sign, at most 127.
        """
        if self._parts == 1:
            return plain
        left = self._places(torch.fmod(levels, self._parts), signed)
        steps, size = self._grid[w.abs().int()].long(), float(1 << self.spec.decode_shift)
        right = self._deviations[:, self._rows_of(w), steps] * w.sign() * size
        if self.window.groups == 1:
            return plain + self.window.convolve(left, torch.cat(list(right), 1))
        by_channel = left.unflatten(1, (-1, self.window.channels)).transpose(1, 2).flatten(1, 2)
        return plain + self.window.convolve(by_channel, right.movedim(0, 2).flatten(1, 2))

    def _places(self, rest: Tensor, signed: bool) -> Tensor:
        """1 where `rest` is 1, then where it is 2 ..., -1 where it is the opposite.

        (B, C, H, W) -> (B, (P - 1) * C, H, W), float32, written at one go.
        """
        batch, channels, *sides = rest.shape
        places = torch.empty((batch, (self._parts - 1) * channels, *sides),
                             memory_format=torch.channels_last)
        for part, place in enumerate(places.split(channels, 1), 1):
            torch.eq(rest, part, out=place)
            if signed:
                place.sub_((rest == -part).float())
        return places

    def _rows_of(self, w: Tensor) -> Tensor:
        """The parity of each weight's region, to be broadcast over w."""
        times = len(w) // self.window.channels
        return self._odd if self.window.groups == 1 else self._odd.repeat_interleave(times, 0)

    @property
    def unit(self) -> float:
        """What one activation level stands for."""
        return 256 / self.samples / (1 << self.spec.activation_shift)


def _deviations(thresholds: Tensor, parts: int) -> Tensor:
    """What the last A mod P points deviate: (P - 1, 2, P + 1), in counts.

    By A mod P (from 1), by the region's parity, by the weight's step of the grid.
    thresholds: (2, 2, n): of activations and weights, for an even and an odd region.
    """
    p, q = thresholds.argsort(2).argsort(2)
    rest, step = torch.arange(1, parts), torch.arange(parts + 1)
    left = (p < rest[:, None, None]).double()
    right = (q < (step * (q.shape[1] // parts))[:, None, None]).double()
    counts = torch.einsum("mrs,jrs->mrj", left, right)
    return (counts - rest[:, None, None] * step / parts).float()


class Exact:
    """The exact product behind the interface of `Counter`: a level is the operand itself."""

    unit = 1.0

    def __init__(self, spec: ProductSpec, window: Window) -> None:
        self.spec, self.window = spec, window

    def levels(self, x: Tensor, signed: bool) -> Tensor:
        """x itself."""
        return x

    def effective_weights(self, w: Tensor) -> Tensor:
        """w itself."""
        return w

    def sums(self, plain: Tensor, levels: Tensor, w: Tensor, signed: bool) -> Tensor:
        """The sums in product units: `plain`, or in float64 where they might pass 2**24."""
        if float(w.abs().sum((1, 2, 3)).max()) * 255 < 1 << 24:
            return plain
        return self.window.convolve(levels.double(), w.double())


def arithmetic(spec: ProductSpec, window: Window, grid: int = 2) -> Counter | Exact:
    """The product of `spec` for a convolution; grid: P."""
    return Exact(spec, window) if spec.exact else Counter(spec, window, grid)
