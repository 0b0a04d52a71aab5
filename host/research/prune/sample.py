"""New structures within a budget: at random near it, by mutation, by crossover.

All are widened as far as the budget allows: a wider network within the budget is better, and cycles
come in steps within which extra width is free.
"""

from collections.abc import Callable, Sequence

import numpy as np

from dscim.host.research.prune.budget import Budget
from dscim.host.research.prune.space import RATIOS, Structure

NEAR = 0.15
"""Random structures stop at most this fraction of the way before they reach the budget."""


class Sampler:
    """Draws structures that are within a budget and were not drawn before.

    rng: the only source of randomness. seen: structures to skip; drawn ones are added.
    """

    def __init__(self, budget: Budget, rng: np.random.Generator, seen: set[Structure]) -> None:
        self._budget, self._rng, self._seen = budget, rng, seen
        self._genes = budget.space.genes

    def random(self, count: int) -> list[Structure]:
        """Up to `count` random structures near the budget; fewer if no more are found.

        Each lies on the path from a structure within the budget to a random one and on to the full
        one, almost as far as the budget allows.
        """
        return self._gather(count, self._near)

    def mutations(self, parents: Sequence[Structure], count: int, rate: float) -> list[Structure]:
        """Up to `count` parents with each gene changed to another value at this rate."""

        def mutate() -> Structure:
            parent = parents[int(self._rng.integers(len(parents)))]
            return tuple(
                self._other(gene) if self._rng.random() < rate else gene for gene in parent
            )

        return self._gather(count, mutate)

    def crossovers(self, parents: Sequence[Structure], count: int) -> list[Structure]:
        """Up to `count` structures, each gene from one of two parents at random."""

        def cross() -> Structure:
            one, other = self._rng.choice(len(parents), 2, replace=False)
            mask = self._rng.random(self._genes) < 0.5
            return tuple(
                a if first else b
                for a, b, first in zip(parents[one], parents[other], mask, strict=True)
            )

        return self._gather(count, cross) if len(parents) > 1 else []

    def _gather(
        self, count: int, draw: Callable[[], Structure], tries: int = 20
    ) -> list[Structure]:
        """New structures within the budget, from at most `tries` draws each."""
        made: list[Structure] = []
        for _ in range(count * tries):
            if len(made) == count:
                break
            structure = draw()
            if not self._budget.holds(structure):
                continue
            structure = self._raised(structure)
            if structure not in self._seen:
                self._seen.add(structure)
                made.append(structure)
        return made

    def _raised(self, structure: Structure) -> Structure:
        """As wide as the budget allows: one random gene at a time is raised by one valid step.

        No single gene of the result can be raised further.
        """
        left, raised = list(range(self._genes)), False
        while left:
            gene = left[int(self._rng.integers(len(left)))]
            wider = self._budget.wider(structure, gene)
            if wider is not None:
                structure, raised = wider, True
            else:
                left.remove(gene)
            if not left and raised:  # cycles may have fallen since a gene was ruled out
                left, raised = list(range(self._genes)), False
        return structure

    def _near(self) -> Structure:
        anchor = np.array(self._budget.anchor)
        target = self._rng.integers(0, RATIOS, self._genes)

        def path(t: float) -> Structure:
            start, end, part = (anchor, target, t) if t <= 1 else (target, RATIOS - 1, t - 1)
            return tuple(int(value) for value in np.rint(start + part * (end - start)))

        return path(self._budget.widest(path, 2.0) * (1 - NEAR * self._rng.random()))

    def _other(self, gene: int) -> int:
        """A ratio id other than `gene`."""
        return int((gene + self._rng.integers(1, RATIOS)) % RATIOS)
