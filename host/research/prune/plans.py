"""The published training constants of each network, as recipes."""

from dataclasses import dataclass
from typing import Any

from dscim.host.research.training.recipe import Recipe

QUARTERS = (1 / 4, 1 / 2, 3 / 4)


def pruning_recipe(
    epochs: int, batch: int, rate: float, drops: tuple[float, ...] = (), **more: Any
) -> Recipe:
    """A recipe with the constants that the trainings of MetaPruning share; `more` overrides them.

    rate: the initial one. drops: fractions of all steps after which it falls to a tenth; (): it
    falls linearly to 0.
    """
    shared = {"warm": 0.0, "decay": 4e-5, "smoothing": 0.1, "momentum": 0.9, "reach": 4}
    return Recipe(epochs, rate, batch=batch, drops=drops, spacing=1_000_003, **(shared | more))


@dataclass(frozen=True)
class Plan:
    """Both trainings of a network: of the PruningNet, and of a structure from scratch.

    held_out: training images that the search measures accuracy on.
    """

    pruning: Recipe
    scratch: Recipe
    held_out: int


SMALL = Plan(
    pruning_recipe(30, 128, 0.1, images=20_000), pruning_recipe(15, 64, 0.1, images=20_000), 4_000
)
"""For the networks of 28x28 and 32x32 images, on a CPU."""

PLANS = {
    "mobilenet-v1": Plan(
        pruning_recipe(64, 512, 0.25, augment="crop"),
        pruning_recipe(256, 1024, 0.5, augment="crop"),
        50_000,
    ),
    "mobilenet-v2": Plan(
        pruning_recipe(64, 512, 0.25, decay=0.0, augment="crop"),
        pruning_recipe(256, 1024, 0.5, augment="crop"),
        50_000,
    ),
    "resnet-50": Plan(
        pruning_recipe(32, 256, 0.1, QUARTERS, decay=1e-4, augment="crop"),
        pruning_recipe(128, 512, 0.2, QUARTERS, decay=1e-4, augment="crop"),
        50_000,
    ),
}
"""The published constants for ImageNet."""


def plan_of(space: str) -> Plan:
    """The plan for the space of that name."""
    return PLANS.get(space, SMALL)
