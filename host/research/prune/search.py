"""The evolutionary search, and random search with the same number of evaluations.

Drawn structures depend only on the seed, the iteration and the fitness of earlier structures, so a
restarted search draws the same structures and finds them in the cache.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dscim.errors import UserError
from dscim.host.research.parallel import Evaluator
from dscim.host.research.prune.budget import Budget
from dscim.host.research.prune.cache import Cache
from dscim.host.research.prune.sample import Sampler
from dscim.host.research.prune.space import Structure
from dscim.progress import Progress

Judges = Evaluator[Structure, float]
"""Evaluates the fitness of structures."""


@dataclass(frozen=True)
class Settings:
    """The constants of the search; the defaults are the published ones.

    Each iteration evaluates `population` structures: the first only random ones, the others up to
    `mutations` and `crossovers` of the best `parents`, and random ones for the rest. rate:
    probability that a mutation changes a gene. seed: of all random choices.
    """

    population: int = 50
    iterations: int = 20
    parents: int = 10
    mutations: int = 25
    crossovers: int = 25
    rate: float = 0.1
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("population", "iterations", "parents"):
            if getattr(self, name) < 1:
                raise UserError(
                    f"a search with {name} {getattr(self, name)} finds nothing; give 1 or more."
                )
        if min(self.mutations, self.crossovers) < 0 or not 0 < self.rate <= 1 or self.seed < 0:
            raise UserError(
                f"mutations {self.mutations}, crossovers {self.crossovers} and seed {self.seed} "
                f"must be 0 or more, the rate {self.rate} above 0 and at most 1."
            )


@dataclass(frozen=True)
class Found:
    """An evaluated structure, and the iteration that evaluated it."""

    structure: Structure
    fitness: float
    iteration: int


def evolve(
    budget: Budget,
    settings: Settings,
    workers: Judges,
    cache: Cache,
    step: Progress = lambda *_: None,
) -> list[Found]:
    """The evolutionary search: every evaluated structure, the best first.

    step: called after each evaluation. UserError if the budget leaves no structure.
    """
    found: list[Found] = []
    seen: set[Structure] = set()
    for iteration in range(settings.iterations):
        sampler = Sampler(budget, np.random.default_rng((settings.seed, iteration)), seen)
        parents = [each.structure for each in found[: settings.parents]]
        drawn = _offspring(sampler, parents, settings)
        drawn += sampler.random(settings.population - len(drawn))
        found = _with(
            found,
            drawn,
            iteration,
            workers,
            cache,
            _count(
                step, iteration * settings.population, settings.iterations * settings.population
            ),
        )
    return found


def sample(
    budget: Budget,
    count: int,
    seed: int,
    workers: Judges,
    cache: Cache,
    step: Progress = lambda *_: None,
) -> list[Found]:
    """Random search: `count` random structures near the budget, the best first."""
    drawn = Sampler(budget, np.random.default_rng((seed, 0)), set()).random(count)
    return _with([], drawn, 0, workers, cache, _count(step, 0, count))


def _count(step: Progress, before: int, total: int) -> Callable[[int], None]:
    """A function that reports to `step` how many structures are done, `before` included."""
    return lambda done: step("structures", before + done, total)


def _offspring(
    sampler: Sampler, parents: Sequence[Structure], settings: Settings
) -> list[Structure]:
    """Mutations and crossovers of the parents; none without parents."""
    if not parents:
        return []
    made = sampler.mutations(parents, min(settings.mutations, settings.population), settings.rate)
    most = min(settings.crossovers, settings.population - len(made))
    return made + sampler.crossovers(parents, most)


def _with(
    found: list[Found],
    drawn: list[Structure],
    iteration: int,
    workers: Judges,
    cache: Cache,
    done: Callable[[int], None],
) -> list[Found]:
    """`found` and the structures drawn, with their fitness, the best first.

    Ties are sorted by their genes, so the order of evaluation has no influence.
    """
    known = {structure: cache.known[structure] for structure in drawn if structure in cache.known}
    for structure, fitness in _fresh(workers, cache, drawn):
        known[structure] = fitness
        done(len(known))
    found = found + [Found(structure, known[structure], iteration) for structure in drawn]
    if not found:
        raise UserError("the budget leaves no structure that random sampling finds; raise it.")
    return sorted(found, key=lambda each: (-each.fitness, each.structure))


def _fresh(
    workers: Judges, cache: Cache, drawn: list[Structure]
) -> Iterator[tuple[Structure, float]]:
    """Evaluates the structures that are not in the cache, and adds them to it."""
    for structure, fitness in workers.evaluate(
        [structure for structure in drawn if structure not in cache.known]
    ):
        cache.add(structure, fitness)
        yield structure, fitness
