"""The DS-CIM product of a convolution in torch, bit for bit the numpy reference's.

For activations that are never below their zero point, signed mode split and sequence counter:
the n samples of a row have the same n activation thresholds in every row, so the count is one
convolution of n times the channels, [x - z >= t_s] against [w' > q_s(row)] * sign(w). Its sums
stay below 2**24, so single precision is exact.
"""

import torch
from torch import Tensor, nn

from dscim.gateware.specs import ProductSpec
from dscim.host.errors import UserError
from dscim.host.reference.matrix import region_thresholds

CHUNK = 16
"""Images whose expanded activations are held at a time."""

RANK = 1
"""Terms of the deviation that `Counter.near` keeps."""


class Counter:
    """The counts and the levels of one arithmetic for the windows of one convolution.

    Level: how many of the n activation (or weight) thresholds an operand exceeds. A count is
    about the product of both levels over n; `effective_*` is what a level stands for, in the
    operand's own integers.
    """

    def __init__(self, spec: ProductSpec, kernel: tuple[int, int], channels: int) -> None:
        """spec: signed mode split, sequence counter, not exact; kernel: (height, width)."""
        if spec.signed != "split" or spec.sequence.kind != "counter" or spec.exact:
            raise UserError("training goes through the signed mode split with the sequence "
                            f"counter only, not {spec.signed} with {spec.sequence.kind}.")
        self.spec, self.samples = spec, spec.samples
        p, q = region_thresholds(spec).astype("int64")
        if (p != p[0]).any():
            raise UserError("the activation thresholds differ from row to row.")
        rows = torch.arange(kernel[0] * kernel[1] * channels) % spec.or_width
        rows = rows.reshape(*kernel, channels).permute(2, 0, 1)
        self._weight_thresholds = torch.from_numpy(q)[rows].permute(3, 0, 1, 2).float()
        self._sorted = torch.from_numpy(q[0]).sort().values.float()
        scale = (1 << spec.operand_shift) / (1 << spec.activation_shift)
        self._thresholds = torch.from_numpy(p[0] + 1).float() * scale
        self._step = spec.side // self.samples * scale
        self._odd = ((rows // spec.root + rows % spec.root) % 2).long()
        self._left, self._right = _deviation(torch.from_numpy(p), torch.from_numpy(q), spec)

    def counts(self, x: Tensor, w: Tensor, stride: tuple[int, int], padding: tuple[int, int]
               ) -> Tensor:
        """N of every window: float32 integers (B, O, H', W').

        x: (B, C, H, W) float32 integers x - z in 0..255; w: (O, C, KH, KW) in -127..127.
        """
        level = (2 * w.abs()).div(1 << self.spec.operand_shift, rounding_mode="floor")
        fires = (level[:, None] > self._weight_thresholds) * w.sign()[:, None]
        fires = fires.flatten(1, 2).contiguous(memory_format=torch.channels_last)
        parts = [nn.functional.conv2d(self._expand(part), fires, None, stride, padding)
                 for part in x.split(CHUNK)]
        return torch.cat(parts)

    def near(self, x: Tensor, w: Tensor, stride: tuple[int, int], padding: tuple[int, int]
             ) -> Tensor:
        """About `counts`, without the points and some n times faster; float32.

        The product of the levels over n, and the strongest terms, RANK of them, of what the
        points of even and of odd regions deviate from it.
        """
        a, b = self._activation_levels(x), self._weight_levels(w)
        left = [a / self.samples, *self._left[a.permute(0, 2, 3, 1).int()].permute(4, 0, 3, 1, 2)]
        right = [b * w.sign(), *(self._right[:, self._odd, b.long()] * w.sign())]
        return nn.functional.conv2d(torch.cat(left, 1), torch.cat(right, 1), None, stride, padding)

    def estimate(self, counts: Tensor) -> Tensor:
        """Counts in product units; a power of two, so it is exact."""
        return counts * float(1 << self.spec.decode_shift)

    def effective_activations(self, x: Tensor) -> Tensor:
        """What the levels of x (x - z, 0..255) stand for: 0..256 >> e."""
        return self._activation_levels(x) * (256 / self.samples / (1 << self.spec.activation_shift))

    def effective_weights(self, w: Tensor) -> Tensor:
        """What the levels of w (-127..127) stand for: -128..128."""
        return self._weight_levels(w) * w.sign() * (128 / self.samples)

    def _activation_levels(self, x: Tensor) -> Tensor:
        """0..n for x - z in 0..255, float32; the thresholds are evenly spaced."""
        level = (x - self._thresholds[0]).div_(self._step).floor_()
        return level.add_(1).clamp_(0, self.samples)

    def _weight_levels(self, w: Tensor) -> Tensor:
        """0..n for weights in -127..127, float32."""
        level = (2 * w.abs()).div(1 << self.spec.operand_shift, rounding_mode="floor")
        return torch.searchsorted(self._sorted, level.contiguous(), right=False).float()

    def _expand(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, n*C, H, W), sample by sample, 1 where the threshold is reached."""
        fires = x.permute(0, 2, 3, 1)[..., None, :] >= self._thresholds[:, None]
        return fires.float().flatten(3, 4).permute(0, 3, 1, 2)


def _deviation(p: Tensor, q: Tensor, spec: ProductSpec) -> tuple[Tensor, Tensor]:
    """What the count of one row deviates from the product of its levels over n, in low rank.

    p, q: (G, n) thresholds. Returns tables by level: activations (n + 1, RANK) and weights
    (RANK, 2, n + 1), the 2 for regions whose i + j is even and odd.
    """
    levels = torch.arange(spec.samples + 1)
    plain = levels[:, None] * levels / spec.samples
    tables = []
    for row in (0, 1):
        rank_p, rank_q = (t[row].argsort().argsort() for t in (p, q))
        a = (levels[:, None] > rank_p).double()
        b = (levels[:, None] > rank_q).double()
        tables.append(a @ b.T - plain)
    u, s, v = torch.linalg.svd(torch.cat(tables, 1), full_matrices=False)
    rank = min(RANK, len(s))
    left = u[:, :rank] * s[:rank]
    return left.float(), v[:rank].reshape(rank, 2, -1).float()


class Exact:
    """The exact product behind the interface of `Counter`: a level is the operand itself."""

    def __init__(self, spec: ProductSpec) -> None:
        self.spec = spec

    def counts(self, x: Tensor, w: Tensor, stride: tuple[int, int], padding: tuple[int, int]
               ) -> Tensor:
        """The sums in product units, float64 for they may pass 2**24."""
        return nn.functional.conv2d(x.double(), w.double(), None, stride, padding)

    def near(self, x: Tensor, w: Tensor, stride: tuple[int, int], padding: tuple[int, int]
             ) -> Tensor:
        """About the sums: in float32."""
        return nn.functional.conv2d(x, w, None, stride, padding)

    def estimate(self, counts: Tensor) -> Tensor:
        """The counts themselves."""
        return counts

    def effective_activations(self, x: Tensor) -> Tensor:
        """x itself."""
        return x

    def effective_weights(self, w: Tensor) -> Tensor:
        """w itself."""
        return w


def arithmetic(spec: ProductSpec, kernel: tuple[int, int], channels: int) -> Counter | Exact:
    """The product of `spec` for convolutions of `kernel` over `channels`."""
    return Exact(spec) if spec.exact else Counter(spec, kernel, channels)
