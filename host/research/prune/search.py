"""The evolutionary search, and random search with the same number of evaluations.

All that is drawn depends on the seed, the iteration and the fitness of structures, so a search
that is started again draws the same structures and takes from the cache what it knows.
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
"""What finds the fitness of structures."""


@dataclass(frozen=True)
class Settings:
    """The constants of the procedure (the published ones by default).

    Each iteration evaluates `population` structures: at random first, then up to `mutations` of
    the best `parents`, up to `crossovers` of these, and random ones for the rest. rate: at which
    a mutation changes a gene. seed: of all that is drawn.
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
                    f"a search with {name} of {getattr(self, name)} finds nothing; give 1 or more."
                )
        if min(self.mutations, self.crossovers) < 0 or not 0 < self.rate <= 1 or self.seed < 0:
            raise UserError(
                f"mutations {self.mutations} and crossovers {self.crossovers} must "
                f"not be negative, the rate {self.rate} be above 0 up to 1, the "
                f"seed {self.seed} 0 or more."
            )


@dataclass(frozen=True)
class Found:
    """A structure that was evaluated, and in which iteration."""

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
    """Searches; every structure evaluated, the best first. step(what, done, total) as it goes.

    UserError where the budget leaves no structure.
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
    """Tells `step` how many structures are done, those before them too."""
    return lambda done: step("structures", before + done, total)


def _offspring(
    sampler: Sampler, parents: Sequence[Structure], settings: Settings
) -> list[Structure]:
    """Mutations and crossovers of the parents; none where there are none."""
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
    """`found` and the structures drawn, evaluated or known, the best first.

    Equal ones are in the order of their genes, so that no order of evaluation shows.
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
    """Evaluates what the cache does not know, and adds it there."""
    for structure, fitness in workers.evaluate(
        [structure for structure in drawn if structure not in cache.known]
    ):
        cache.add(structure, fitness)
        yield structure, fitness
