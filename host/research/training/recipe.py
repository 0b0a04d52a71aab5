"""A training recipe: everything needed to repeat a training."""

import math
from dataclasses import dataclass

from dscim.errors import UserError

SPLIT_SEED = 2026
"""The seed of every division into training and held-out images."""

FIRST, LAST = 25.0, 1e4
"""A warm-up starts at the highest rate / FIRST; the last rate is this start / LAST."""


@dataclass(frozen=True)
class Recipe:
    """Everything needed to repeat a training; stored in its checkpoint.

    epochs:     passes over `images` training images, 1 or more.
    rate:       highest learning rate, above 0.
    seed:       of weights, order, augmentation and structures, 0 or more.
    images:     training images per epoch, drawn again for each; None: all.
    batch:      images per step.
    reach:      maximum shift of the images in pixels.
    warm:       fraction of all steps over which the rate rises; then it falls to about 0 along half
                a cosine. 0: no warm-up; the rate falls linearly to 0, or as in `drops`.
    drops:      without a warm-up: fractions of all steps after which the rate falls to a tenth.
    held_out:   number of training images by which the epoch is chosen, the last ones of a
                permutation with the seed `split_seed`.
    average:    decay per step of the moving average of the weights that is kept; 0: no average.
    momentum:   of stochastic gradient descent; fine-tuning uses Adam and has none.
    decay:      weight decay.
    smoothing:  label smoothing.
    augment:    "shift" by up to `reach` pixels, or "crop", a random resized crop; both mirror.
    spacing:    epoch k draws from the seed `seed` * `spacing` + k.

    UserError for values that cannot train anything.
    """

    epochs: int
    rate: float
    seed: int = 1
    images: int | None = None
    batch: int = 128
    reach: int = 2
    warm: float = 0.15
    held_out: int = 0
    split_seed: int = SPLIT_SEED
    average: float = 0.0
    momentum: float = 0.0
    decay: float = 0.0
    smoothing: float = 0.0
    drops: tuple[float, ...] = ()
    augment: str = "shift"
    spacing: int = 1_000

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch) < 1 or (
            self.images is not None and self.images < self.batch
        ):
            raise UserError(
                f"{self.epochs} epochs of {self.images} images in batches of "
                f"{self.batch} train nothing; use 1 or more epochs, and a batch no "
                "larger than the images."
            )
        if not self.rate > 0 or self.seed < 0:
            raise UserError(
                f"the rate {self.rate} must be above 0, the seed {self.seed} must be 0 or more."
            )
        if not 0 <= self.average < 1:
            raise UserError(f"the average {self.average} must be 0 (none) or more, and below 1.")

    def steps(self, images: int) -> int:
        """Steps per epoch, 1 or more, if there are `images` training images."""
        return max(1, min(self.images or images, images) // self.batch)

    def epoch_seed(self, epoch: int) -> int:
        """The seed of all random choices of an epoch, counted from 0."""
        return self.seed * self.spacing + epoch

    def rate_at(self, step: int, steps: int, highest: float) -> float:
        """The rate of step 0 up to `steps` - 1 for parameters whose highest rate is `highest`."""
        if self.warm:
            return _one_cycle(step, steps, highest, self.warm)
        if not self.drops:
            return highest * (1 - step / steps)
        return float(highest * 0.1 ** sum(step / steps >= drop for drop in self.drops))


def _one_cycle(step: int, steps: int, highest: float, warm: float) -> float:
    """The rates of torch's OneCycleLR, to the bit."""
    first, top = highest / FIRST, float(warm * steps) - 1
    if step <= top:
        return _cosine(first, highest, step / top if top else 1.0)
    return _cosine(highest, first / LAST, (step - top) / (steps - 1 - top))


def _cosine(start: float, end: float, part: float) -> float:
    """From `start` to `end` along half a cosine; part: 0 to 1."""
    return end + (start - end) / 2.0 * (math.cos(math.pi * part) + 1)
