"""The last stage of a search: a few of the structures found are trained for real and compared.

Generated weights tell good structures from bad ones, but not the best from each other.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from dscim.host.network.datasets.pixels import Input
from dscim.host.research.prune.fitness import Fitness
from dscim.host.research.prune.images import parts_of
from dscim.host.research.prune.learn import from_scratch
from dscim.host.research.prune.space import Structure
from dscim.host.research.prune.spaces import space
from dscim.host.research.training.recipe import Recipe


def finalists(found: Sequence[Structure], count: int, apart: int) -> list[Structure]:
    """Up to `count` of `found`, which begins with the best: each the best that is far enough.

    apart: the least sum of differences of ratio ids between any two of them.
    """
    chosen: list[Structure] = []
    for structure in found:
        if len(chosen) == count:
            break
        if all(distance(structure, other) >= apart for other in chosen):
            chosen.append(structure)
    return chosen


def distance(one: Structure, other: Structure) -> int:
    """The sum of the differences of two structures' ratio ids."""
    return sum(abs(a - b) for a, b in zip(one, other, strict=True))


@dataclass(frozen=True)
class Trial:
    """How a finalist is judged, to be made anew in every worker process.

    It is trained from scratch on the training images that are not held out, by `recipe` with
    each of `seeds`; what counts is the mean accuracy on the held-out ones. stem: of the
    checkpoints' names, STEM-GENES-seedS.pt, from which a training that was stopped goes on.
    threads, readers: of torch, and processes that read image files ahead, in each process.
    """

    space: str
    dataset: str
    folder: Path | None
    held_out: int
    given: Input
    recipe: Recipe
    seeds: tuple[int, ...]
    stem: Path
    threads: int = 1
    readers: int = 0

    def facts(self) -> dict[str, Any]:
        """JSON values that decide what a trial gives."""
        return {
            "space": self.space,
            "dataset": self.dataset,
            "held_out": self.held_out,
            "schedule": asdict(replace(self.recipe, seed=0)),
            "seeds": list(self.seeds),
        }

    def __call__(self) -> Fitness:
        """The trial; with one thread each, all processes round alike."""
        torch.set_num_threads(self.threads)
        where = space(self.space)
        parts = parts_of(self.dataset, self.folder, where, self.held_out)
        parts = replace(parts, held_images=parts.held_images[: self.held_out])  # read from files

        def trial(structure: Structure) -> float:
            name = f"{self.stem.name}-{'.'.join(map(str, structure))}"
            return mean(
                from_scratch(
                    where,
                    structure,
                    parts,
                    replace(self.recipe, seed=seed),
                    self.given,
                    self.stem.with_name(f"{name}-seed{seed}.pt"),
                    readers=self.readers,
                )[1]
                for seed in self.seeds
            )

        return trial
