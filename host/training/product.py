"""The DS-CIM product of a convolution in torch, bit for bit the numpy reference's.

Training keeps every weight on a coarse grid: none, 1/P, 2/P ... or all of its row's n points lie
below it (P = 2 gives five weights with their signs). There the counter sequence is truest: of
the A points that an activation exceeds, whole runs of P fall evenly on the grid's steps, by the
van der Corput order, and only the A mod P last ones deviate from A*j/P. So a whole product is
the plain product of the levels and P - 1 corrections, whatever n is. For activations that are
never below their zero point and the signed mode split; sums stay below 2**24, so single
precision is exact.
"""

import torch
from torch import Tensor, nn

from dscim.gateware.specs import ProductSpec
from dscim.host.errors import UserError
from dscim.host.reference.matrix import region_thresholds

Pair = tuple[int, int]


class Counter:
    """The product of one arithmetic for the windows of one convolution.

    Level: how many of the n thresholds of its row an operand exceeds. `effective_*` is what a
    level stands for, in the operand's own integers.
    """

    def __init__(self, spec: ProductSpec, kernel: Pair, channels: int, grid: int) -> None:
        """spec: signed mode split, sequence counter, not exact; kernel: (height, width).

        grid: P, a power of two; of n points there are no more than n steps.
        """
        if spec.signed != "split" or spec.sequence.kind != "counter" or spec.exact:
            raise UserError("training goes through the signed mode split with the sequence "
                            f"counter only, not {spec.signed} with {spec.sequence.kind}.")
        self.spec, self.samples = spec, spec.samples
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
        rows = torch.arange(kernel[0] * kernel[1] * channels) % spec.or_width
        odd = (rows // spec.root + rows % spec.root) % 2
        self._odd = odd.reshape(*kernel, channels).permute(2, 0, 1)

    def effective_activations(self, x: Tensor) -> Tensor:
        """What the levels of x (integers x - z, 0..255) stand for: 0..256 >> e."""
        return self._activation_levels(x) * self._unit

    def effective_weights(self, w: Tensor) -> Tensor:
        """What the nearest step of the grid to w (-127..127) stands for: -128..128."""
        return self._grid[w.abs().int()] * w.sign() * (128 / self._parts)

    def sums(self, plain: Tensor, x: Tensor, w: Tensor, stride: Pair, padding: Pair) -> Tensor:
        """The estimate of every window in product units, float32 integers (B, O, H', W').

        plain: the convolution of the effective operands. x: (B, C, H, W) integers x - z in
        0..255; w: (O, C, KH, KW), each the middle of a step: 128*j/P with a sign, at most 127.
        """
        if self._parts == 1:
            return plain
        rest = self._activation_levels(x) % self._parts
        left = [(rest == m).float() for m in range(1, self._parts)]
        steps, unit = self._grid[w.abs().int()].long(), float(1 << self.spec.decode_shift)
        right = self._deviations[:, self._odd, steps] * w.sign() * unit
        return plain + nn.functional.conv2d(
            torch.cat(left, 1), torch.cat(list(right), 1), None, stride, padding)

    @property
    def _unit(self) -> float:
        """What one activation level stands for."""
        return 256 / self.samples / (1 << self.spec.activation_shift)

    def _activation_levels(self, x: Tensor) -> Tensor:
        """0..n for x - z in 0..255, float32: the thresholds are evenly spaced."""
        level = ((x - self._first) / self._step).floor_().add_(1)
        return level.clamp_(0, self.samples)


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

    def __init__(self, spec: ProductSpec) -> None:
        self.spec = spec

    def effective_activations(self, x: Tensor) -> Tensor:
        """x itself."""
        return x

    def effective_weights(self, w: Tensor) -> Tensor:
        """w itself."""
        return w

    def sums(self, plain: Tensor, x: Tensor, w: Tensor, stride: Pair, padding: Pair) -> Tensor:
        """The sums in product units, float64 for they may pass 2**24."""
        return nn.functional.conv2d(x.double(), w.double(), None, stride, padding)


def arithmetic(spec: ProductSpec, kernel: Pair, channels: int, grid: int = 2) -> Counter | Exact:
    """The product of `spec` for convolutions of `kernel` over `channels`; grid: P."""
    return Exact(spec) if spec.exact else Counter(spec, kernel, channels, grid)
