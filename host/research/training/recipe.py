"""What a training run is repeated from."""

from dataclasses import dataclass

from dscim.errors import UserError


@dataclass(frozen=True)
class Recipe:
    """What a training run is repeated from; stored in its checkpoint.

    `images` are drawn anew for each epoch from the training set without its last `held_out`
    images of a permutation by `split_seed`; the rate rises over the first `warm` of all steps
    and then falls to zero along half a cosine. `reach`: pixels by which images are shifted.
    `average`: the decay, from one step to the next,
    of the moving average of the weights that is kept; 0: the weights themselves.
    """

    epochs: int
    rate: float
    seed: int
    images: int = 55_000
    batch: int = 128
    reach: int = 2
    warm: float = 0.15
    held_out: int = 5_000
    split_seed: int = 2026
    average: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.average < 1:
            raise UserError(f"--average {self.average} is no decay: give 0 (none) up to below 1.")
