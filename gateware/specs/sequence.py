"""The sequences of sample points: two LFSRs, van der Corput counters, or tables of thresholds."""

import dataclasses
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from dscim.gateware.specs.base import Spec, SpecError, require

KINDS = ("counter", "lfsr", "table")

Table = tuple[int, tuple[tuple[int, int], ...]]
"""One entry of a table: the shift that reduces a hit's weight, and a region's points (p, q)."""

MAXIMAL_TAPS = (
    0x8E,
    0x95,
    0x96,
    0xA6,
    0xAF,
    0xB1,
    0xB2,
    0xB4,
    0xB8,
    0xC3,
    0xC6,
    0xD4,
    0xE1,
    0xE7,
    0xF3,
    0xFA,
)
"""The sixteen tap masks that give an 8-bit Galois LFSR a period of 255."""

DEFAULT_TAPS = (0x95, 0x95)
DEFAULT_SEEDS = (212, 187)
"""The best shared pair found for DS-CIM1 at L = 256 (contract, section 3)."""


def lfsr_step(state: int, taps: int) -> int:
    """The state after `state` (1..255) of the Galois LFSR with the mask `taps`."""
    return (state >> 1) ^ (taps if state & 1 else 0)


def bit_reverse(value: int, bits: int) -> int:
    """The lowest `bits` bits of `value` in reverse order."""
    return int(format(value, f"0{bits}b")[::-1], 2) if bits else 0


@dataclasses.dataclass(frozen=True)
class SequenceSpec(Spec):
    """The sequence of sample points (contract, section 2, "Sequence").

    kind:  "counter" (van der Corput, no parameters), "lfsr" or "table".
    taps:  for "lfsr": the masks of the activation's and the weight's LFSR, each of maximal period.
    seeds: for "lfsr": the two states at t = 0, each 1..255.
    table: for "table": the points of every region for n = 1, 2, 4 ... points, in this order. An
           entry is (shift, ((p, q), ...)) with p never decreasing. A row fires if its reduced
           operands exceed p and q, each 0..255 in operand steps, of which a region uses the upper
           bits. A hit counts 2**-shift of a hit in the other sequences, shift 0..3.
    """

    later: ClassVar[tuple[str, ...]] = ("table",)

    kind: str = "counter"
    taps: tuple[int, ...] = ()
    seeds: tuple[int, ...] = ()
    table: tuple[Table, ...] = ()

    def __post_init__(self) -> None:
        require(
            self.kind in KINDS,
            f"Sequence {self.kind!r} is unknown; choose one of {', '.join(KINDS)}.",
        )
        self._check_table()
        if self.kind != "lfsr":
            require(
                not self.taps and not self.seeds,
                f"The {self.kind} sequence has no taps or seeds; leave out taps {self.taps} and "
                f"seeds {self.seeds}, or choose the sequence lfsr.",
            )
            return
        object.__setattr__(self, "taps", tuple(self.taps) or DEFAULT_TAPS)
        object.__setattr__(self, "seeds", tuple(self.seeds) or DEFAULT_SEEDS)
        require(
            len(self.taps) == 2 and len(self.seeds) == 2,
            f"An lfsr sequence has two taps and two seeds (activation, weight), not "
            f"{self.taps} and {self.seeds}.",
        )
        for taps in self.taps:
            require(
                taps in MAXIMAL_TAPS,
                f"Taps {taps:#x} do not give an 8-bit LFSR of period 255; choose one of "
                f"{' '.join(f'{value:#x}' for value in MAXIMAL_TAPS)}.",
            )
        for seed in self.seeds:
            require(1 <= seed <= 255, f"Seed {seed} is outside 1..255; an LFSR stays at zero.")

    def _check_table(self) -> None:
        require(
            bool(self.table) == (self.kind == "table"),
            f"The sequence {self.kind} {'needs a' if self.kind == 'table' else 'has no'} "
            "table of thresholds.",
        )
        for place, (shift, points) in enumerate(self.table):
            require(
                len(points) == 1 << place and all(len(point) == 2 for point in points),
                f"Entry {place} of a table has {1 << place} points of two thresholds (p, q) each.",
            )
            flat = [value for point in points for value in point]
            require(shift in range(4), f"A table's shift of {shift} is outside 0..3.")
            require(
                all(value in range(256) for value in flat) and flat[::2] == sorted(flat[::2]),
                f"The thresholds of {len(points)} points are not within 0..255, p rising.",
            )

    def rejection(self, samples: int) -> str | None:
        """Why a region cannot have `samples` points, as one sentence; None if it can."""
        if self.kind == "table" and samples > self.max_samples:
            return (
                f"The table has points for up to {self.max_samples} samples per row, not "
                f"{samples}; choose a shorter stream."
            )
        return None

    @property
    def max_samples(self) -> int:
        """The most points per region of the table; 64 without a table."""
        return 1 << (len(self.table) - 1) if self.table else 64

    def shift(self, samples: int) -> int:
        """The shift that reduces the weight of a hit if a region has `samples` points."""
        return self.table[samples.bit_length() - 1][0] if self.table else 0

    def points(self, length: int, or_width: int) -> npt.NDArray[np.int64]:
        """The (length, 2) points (r_a[t], r_w[t]), each coordinate in 0..255.

        or_width: G, 16 or 64; length: L = n*G with n a power of two from 1 to S.
        """
        if self.kind == "lfsr":
            return np.stack(
                [
                    _lfsr_states(taps, seed, length)
                    for taps, seed in zip(self.taps, self.seeds, strict=True)
                ],
                axis=1,
            )
        if self.kind == "table":
            return self._table_points(length, or_width)
        return _counter_points(length, or_width)

    def _table_points(self, length: int, or_width: int) -> npt.NDArray[np.int64]:
        """Regions in the order of `counter`; the points of a region in the order of the table."""
        rejected = self.rejection(length // or_width)
        if rejected:
            raise SpecError(rejected)
        root = int(or_width**0.5)
        u, region = np.divmod(np.arange(length), or_width)
        held = np.array(self.table[(length // or_width).bit_length() - 1][1]) // root
        return np.stack(np.divmod(region, root), axis=1) * (256 // root) + held[u]


def _lfsr_states(taps: int, seed: int, length: int) -> npt.NDArray[np.int64]:
    states = [seed]
    while len(states) < length:
        states.append(lfsr_step(states[-1], taps))
    return np.array(states)


def _counter_points(length: int, or_width: int) -> npt.NDArray[np.int64]:
    root = int(or_width**0.5)
    side = 256 // root
    samples = length // or_width
    step = side // samples
    half = max(step // 2 - 1, 0)
    points = []
    for t in range(length):
        u, region = divmod(t, or_width)
        i, j = divmod(region, root)
        v = bit_reverse(u, samples.bit_length() - 1)
        if (i + j) % 2:
            v = samples - 1 - v
        points.append((i * side + u * step + half, j * side + v * step + half))
    return np.array(points)
