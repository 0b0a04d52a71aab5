"""The last stage of a search: a few finalists are actually trained, and compared.

Generated weights separate good structures from bad ones, but cannot rank the best ones.
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
    """Up to `count` of `found`, which has the best first: each the best one far enough from others.

    apart: minimum `distance` between any two of them.
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
    """How a finalist is evaluated; pickled, and called once in every worker process.

    A finalist is trained from scratch on the training images that are not held out, by `recipe`
    with each of `seeds`; its value is the mean accuracy on the held-out ones. stem: that of the
    checkpoints STEM-GENES-seedS.pt, from which a stopped training resumes. threads: of torch,
    readers: processes that read image files in advance, both for each worker.
    """

    space: str
    dataset: str
    folder: Path | None
    held_out: int
    pixels: Input
    recipe: Recipe
    seeds: tuple[int, ...]
    stem: Path
    threads: int = 1
    readers: int = 0

    def facts(self) -> dict[str, Any]:
        """JSON values that determine the result of a trial."""
        return {
            "space": self.space,
            "dataset": self.dataset,
            "held_out": self.held_out,
            "schedule": asdict(replace(self.recipe, seed=0)),
            "seeds": list(self.seeds),
        }

    def __call__(self) -> Fitness:
        """The function that evaluates a structure; with one thread, all processes round alike."""
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
                    self.pixels,
                    self.stem.with_name(f"{name}-seed{seed}.pt"),
                    readers=self.readers,
                )[1]
                for seed in self.seeds
            )

        return trial
