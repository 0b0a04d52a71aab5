"""The sequences of sample points: two LFSRs, or van der Corput counters."""

import dataclasses

import numpy as np
import numpy.typing as npt

from dscim.gateware.specs.base import Spec, require

KINDS = ("counter", "lfsr")

MAXIMAL_TAPS = (0x8E, 0x95, 0x96, 0xA6, 0xAF, 0xB1, 0xB2, 0xB4,
                0xB8, 0xC3, 0xC6, 0xD4, 0xE1, 0xE7, 0xF3, 0xFA)
"""The sixteen tap masks with which an 8-bit Galois LFSR has period 255."""

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
    """Where the sample points lie (contract, section 2, "Sequence").

    kind:  "counter" (van der Corput, no parameters) or "lfsr".
    taps:  for "lfsr" the masks of the activation's and the weight's LFSR, each maximal.
    seeds: for "lfsr" the two states at t = 0, each 1..255.
    """

    kind: str = "counter"
    taps: tuple[int, ...] = ()
    seeds: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        require(self.kind in KINDS,
                f"Sequence {self.kind!r} is unknown; choose one of {', '.join(KINDS)}.")
        if self.kind == "counter":
            require(not self.taps and not self.seeds,
                    f"The counter sequence has no taps or seeds, but taps {self.taps} and seeds "
                    f"{self.seeds} were given; leave them out or choose the sequence lfsr.")
            return
        object.__setattr__(self, "taps", tuple(self.taps) or DEFAULT_TAPS)
        object.__setattr__(self, "seeds", tuple(self.seeds) or DEFAULT_SEEDS)
        require(len(self.taps) == 2 and len(self.seeds) == 2,
                f"An lfsr sequence takes two taps and two seeds (activation, weight), not "
                f"{self.taps} and {self.seeds}.")
        for taps in self.taps:
            require(taps in MAXIMAL_TAPS,
                    f"Taps {taps:#x} do not give an 8-bit LFSR of period 255; choose one of "
                    f"{' '.join(f'{value:#x}' for value in MAXIMAL_TAPS)}.")
        for seed in self.seeds:
            require(1 <= seed <= 255, f"Seed {seed} is outside 1..255; zero would never move.")

    def points(self, length: int, or_width: int) -> npt.NDArray[np.int64]:
        """The (length, 2) points (r_a[t], r_w[t]), each coordinate in 0..255.

        or_width: G, 16 or 64; length: L = n*G with n a power of two from 1 to S.
        """
        if self.kind == "lfsr":
            return np.stack([_lfsr_states(taps, seed, length)
                             for taps, seed in zip(self.taps, self.seeds, strict=True)], axis=1)
        return _counter_points(length, or_width)


def _lfsr_states(taps: int, seed: int, length: int) -> npt.NDArray[np.int64]:
    states = [seed]
    while len(states) < length:
        states.append(lfsr_step(states[-1], taps))
    return np.array(states)


def _counter_points(length: int, or_width: int) -> npt.NDArray[np.int64]:
    root = int(or_width ** 0.5)
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
