"""What a training is repeated from, and the published constants of each network."""

from dataclasses import dataclass

from dscim.errors import UserError

QUARTERS = (1 / 4, 1 / 2, 3 / 4)


@dataclass(frozen=True)
class Schedule:
    """A training by stochastic gradient descent; stored in its checkpoint.

    batch: images a step. rate: the first one. drops: parts of all steps behind which the rate
    falls to a tenth; (): it falls linearly to 0. decay: of weights. smoothing: of labels.
    images: drawn anew for each epoch; None: all. augment: "shift" by up to `reach` pixels,
    or "crop", a random resized crop; both mirror. seed: of order, augmentation and structures.
    """

    epochs: int
    batch: int
    rate: float
    drops: tuple[float, ...] = ()
    decay: float = 4e-5
    smoothing: float = 0.1
    momentum: float = 0.9
    images: int | None = None
    augment: str = "shift"
    reach: int = 4
    seed: int = 1

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch) < 1 or (
            self.images is not None and self.images < self.batch
        ):
            raise UserError(
                f"{self.epochs} epochs of {self.images} images in batches of "
                f"{self.batch} train nothing; give 1 epoch or more, and no batch "
                "larger than the images."
            )
        if not self.rate > 0 or self.seed < 0:
            raise UserError(
                f"the rate {self.rate} must be above 0, the seed {self.seed} not below it."
            )

    def rate_at(self, part: float) -> float:
        """The rate when `part` of all steps, 0 up to below 1, are done."""
        if not self.drops:
            return self.rate * (1 - part)
        return float(self.rate * 0.1 ** sum(part >= drop for drop in self.drops))


@dataclass(frozen=True)
class Plan:
    """Both trainings of a network: of the PruningNet, and of a structure from scratch.

    held_out: images of the training set by which the search chooses.
    """

    pruning: Schedule
    scratch: Schedule
    held_out: int


SMALL = Plan(Schedule(30, 128, 0.1, images=20_000), Schedule(15, 64, 0.1, images=20_000), 4_000)
"""For the networks of 28x28 and 32x32 images, on a CPU."""

PLANS = {
    "mobilenet-v1": Plan(
        Schedule(64, 512, 0.25, augment="crop"), Schedule(256, 1024, 0.5, augment="crop"), 50_000
    ),
    "mobilenet-v2": Plan(
        Schedule(64, 512, 0.25, decay=0.0, augment="crop"),
        Schedule(256, 1024, 0.5, augment="crop"),
        50_000,
    ),
    "resnet-50": Plan(
        Schedule(32, 256, 0.1, QUARTERS, decay=1e-4, augment="crop"),
        Schedule(128, 512, 0.2, QUARTERS, decay=1e-4, augment="crop"),
        50_000,
    ),
}
"""The published constants (section 4 of the paper's code: ImageNet)."""


def plan_of(space: str) -> Plan:
    """The plan for the space of that name."""
    return PLANS.get(space, SMALL)
