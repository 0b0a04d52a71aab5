"""Budgets, sampling and the evolutionary search: hard limits, seeds, resuming, workers."""

import itertools
import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dscim.errors import UserError
from dscim.gateware.specs import ProductSpec, SocSpec
from dscim.host.research.parallel import Workers
from dscim.host.research.prune import RATIOS, operations, space
from dscim.host.research.prune.budget import Budget
from dscim.host.research.prune.cache import Cache
from dscim.host.research.prune.minimum import minimum
from dscim.host.research.prune.mobilenet import mobilenet_v1
from dscim.host.research.prune.onchip import cycles
from dscim.host.research.prune.sample import Sampler
from dscim.host.research.prune.search import Settings, evolve, sample
from dscim.host.research.prune.table import CostTable, Entry, build
from tests.prune_fitness import DEVICE, SMALL, TINY, closeness, limited, make_closeness, make_dies

HERE = Path(__file__).parent  # on sys.path its `numbers` would hide the standard module
V1 = space("mobilenet-v1")


@pytest.fixture(scope="module", name="table")
def _table():
    return build(TINY, DEVICE, ProductSpec())


@pytest.fixture(name="budget")
def _budget(table):
    return limited(table)


def run(budget, path=None, chosen=SMALL, count=1, make=make_closeness):
    with Workers(make, count) as workers:
        return evolve(budget, chosen, workers, Cache(path, {"seed": chosen.seed}))


def test_a_search_is_within_budget_without_duplicates_and_by_seed(budget) -> None:
    found = run(budget)
    assert len(found) == len({each.structure for each in found}) == 48
    assert all(budget.holds(each.structure) for each in found)
    assert [each.fitness for each in found] == sorted(
        (closeness(each.structure) for each in found), reverse=True
    )
    assert found == run(budget)
    assert found != run(budget, chosen=Settings(**vars(SMALL) | {"seed": 4}))


def test_it_finds_better_ones_than_random_search(table) -> None:
    """By the mean of four seeds, with many more structures than evaluations."""
    budget = Budget(TINY, {"cycles": table.total(TINY, TINY.full) * 8 // 10}, table)
    best, random = [], []
    for seed in range(1, 5):
        found = run(
            budget,
            chosen=Settings(
                population=12, iterations=6, parents=4, mutations=4, crossovers=4, seed=seed
            ),
        )
        with Workers(make_closeness) as workers:
            drawn = sample(budget, len(found), seed, workers, Cache(None, {}))
        assert len(found) == len(drawn) == 72
        best.append([each.fitness for each in found[:10]])
        random.append([each.fitness for each in drawn[:10]])
    assert np.mean(best) > np.mean(random) + 2
    assert np.max(best, axis=1).mean() > np.max(random, axis=1).mean()


class Stop(Exception):
    pass


def test_a_search_that_is_killed_goes_on_to_the_same_result(budget, tmp_path: Path) -> None:
    wanted = run(budget)
    path = tmp_path / "evaluated.jsonl"
    asked = []
    for after in (5, 9, 20):  # three kills, the last line cut short

        def stops(structure, until=after + len(asked)):  # noqa: B008
            if len(asked) >= until:
                raise Stop
            asked.append(structure)
            return closeness(structure)

        with pytest.raises(Stop):
            run(budget, path, make=lambda stops=stops: stops)
        with path.open("a") as file:
            file.write("[[1, 2")
    assert (
        run(budget, path, make=lambda: lambda each: asked.append(each) or closeness(each)) == wanted
    )
    assert len(asked) == len(set(asked)) == 48
    assert run(budget, path, make=lambda: None) == wanted


def test_a_cache_of_another_search_is_refused(budget, tmp_path: Path) -> None:
    run(budget, tmp_path / "c.jsonl")
    with pytest.raises(UserError, match="another search"):
        Cache(tmp_path / "c.jsonl", {"seed": 4})
    (tmp_path / "c.jsonl").write_text((tmp_path / "c.jsonl").read_text() + "nonsense\n")
    with pytest.raises(UserError, match="damaged"):
        Cache(tmp_path / "c.jsonl", {"seed": 3})


def test_workers_give_the_same_search_and_one_that_dies_costs_its_task(
    budget, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(sys, "path", [each for each in sys.path if Path(each) != HERE])
    chosen = Settings(population=6, iterations=2, parents=3, mutations=2, crossovers=2)
    wanted = run(budget, chosen=chosen)
    assert run(budget, chosen=chosen, count=2, make=partial(make_dies, tmp_path / "died")) == wanted
    assert (tmp_path / "died").exists()
    with pytest.raises(UserError, match=f"died 4 times at .*{wanted[0].structure[0]}"):
        run(
            budget,
            chosen=chosen,
            count=2,
            make=partial(make_dies, tmp_path / "died", wanted[0].structure),
        )


def test_an_infeasible_budget_is_said_at_once_with_the_least(table) -> None:
    least = {
        name: Budget(TINY, {}, table).costs(TINY.least)[name]
        for name in ("macs", "parameters", "memory")
    }
    least["cycles"] = table.cheapest(TINY)[0]
    for name, value in least.items():
        with pytest.raises(UserError, match=f"at least {value}"):
            Budget(TINY, {name: value - 1}, table)
        budget = Budget(TINY, {name: value}, table)
        assert budget.holds(budget.anchor)
    with pytest.raises(UserError, match="cost table"):
        Budget(TINY, {"cycles": 10**9})


def test_the_fewest_cycles_are_exact() -> None:
    where = mobilenet_v1("three", (8, 8, 3), 5, ((16, 1), (32, 2), (48, 1), (32, 1)))
    table = build(where, SocSpec(), ProductSpec())
    value, structure = table.cheapest(where)
    assert table.total(where, structure) == value
    assert sum(cycles(SocSpec(), each) for each in operations(where, structure)) == value
    totals = [table.total(where, each) for each in itertools.product(range(RATIOS), repeat=3)]
    assert min(totals) == value <= table.total(where, where.least)


@settings(deadline=None, max_examples=20)
@given(st.data())
def test_elimination_finds_the_minimum(data) -> None:
    """Random sums over chains and rings of four genes, against numpy over all of them."""
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    pairs = data.draw(
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=6)
    )
    terms = [((0, None), rng.integers(0, 99, (RATIOS, 1)))]
    whole = terms[0][1].reshape(RATIOS, 1, 1, 1) + np.zeros((RATIOS,) * 4, np.int64)
    for one, other in pairs:
        values = rng.integers(0, 99, (RATIOS, RATIOS))
        terms.append(((one, other), values))
        flat = values.diagonal() if one == other else values if one < other else values.T
        axes = sorted({one, other})
        whole = whole + flat.reshape([RATIOS if k in axes else 1 for k in range(4)])
    value, chosen = minimum(terms, 4)
    assert value == whole.min() == whole[chosen]


@settings(deadline=None, max_examples=10)
@given(part=st.floats(0.15, 0.8), seed=st.integers(0, 1000))
def test_random_structures_lie_near_the_budget(part: float, seed: int) -> None:
    full = Budget(V1, {}).costs(V1.full)["macs"]
    limit = int(full * part)
    budget = Budget(V1, {"macs": limit, "memory": 10**8})
    drawn = Sampler(budget, np.random.default_rng(seed), set()).random(10)
    spent = [budget.costs(each)["macs"] for each in drawn]
    assert len(set(drawn)) == 10
    assert max(spent) <= limit
    assert np.mean(spent) > 0.6 * limit


@pytest.mark.parametrize("more", [{}, {"parameters": 4_000}])
def test_no_width_of_what_is_drawn_can_grow(budget, more) -> None:
    """By brute force over every gene, for cycles alone and with a second limit."""
    limited = Budget(TINY, budget.limits | more, budget.table)
    sampler = Sampler(limited, np.random.default_rng(5), set())
    drawn = sampler.random(6)
    drawn += sampler.mutations(drawn, 6, 0.3) + sampler.crossovers(drawn, 6)
    assert len(set(drawn)) == len(drawn) > 12
    for structure in drawn:
        assert limited.holds(structure)
        assert not any(
            limited.holds((*structure[:gene], ratio_id, *structure[gene + 1 :]))
            for gene in range(TINY.genes)
            for ratio_id in range(structure[gene] + 1, RATIOS)
        )


def test_a_gene_goes_up_by_the_least_that_holds() -> None:
    """Also beyond ids that cycles forbid: more channels are not always more cycles."""
    rng = np.random.default_rng(2)
    table = CostTable(
        "tiny",
        SocSpec(),
        ProductSpec(),
        tuple(Entry(str(place), (place,), rng.integers(0, 100, RATIOS)) for place in range(1, 5)),
    )
    skipped = 0
    for structure in map(tuple, rng.integers(0, RATIOS, (50, TINY.genes)).tolist()):
        budget = Budget(TINY, {"cycles": table.total(TINY, structure)}, table)
        for gene in range(TINY.genes):
            ups = [
                (*structure[:gene], ratio_id, *structure[gene + 1 :])
                for ratio_id in range(structure[gene] + 1, RATIOS)
            ]
            held = [each for each in ups if budget.holds(each)]
            assert budget.wider(structure, gene) == (held[0] if held else None)
            skipped += bool(held) and held[0] != ups[0]
    assert skipped


def test_uniform_scaling_is_the_widest_within_the_budget(budget) -> None:
    structure = budget.uniform()
    assert len(set(structure)) == 1 and budget.holds(structure)
    assert not any(budget.holds((k,) * TINY.genes) for k in range(structure[0] + 1, RATIOS))


def test_a_tight_budget_ends_with_what_there_is(table) -> None:
    limit = table.cheapest(TINY)[0]
    found = run(Budget(TINY, {"cycles": limit}, table))
    assert 1 <= len(found) < 48
    assert all(table.total(TINY, each.structure) == limit for each in found)


@pytest.mark.parametrize(
    "wrong", [{"population": 0}, {"iterations": 0}, {"rate": 0.0}, {"mutations": -1}, {"seed": -1}]
)
def test_wrong_settings(wrong: dict) -> None:
    with pytest.raises(UserError):
        Settings(**wrong)


def test_the_header_names_the_search(tmp_path: Path) -> None:
    """It is written with the first fitness, not before."""
    cache = Cache(tmp_path / "c.jsonl", {"seed": 3})
    assert not (tmp_path / "c.jsonl").exists()
    cache.add((1, 2), 0.5)
    header, line = map(json.loads, (tmp_path / "c.jsonl").read_text().splitlines())
    assert header["seed"] == 3 and line == [[1, 2], 0.5]


def test_a_search_that_is_killed_dead_goes_on_to_the_same_result(budget, tmp_path: Path) -> None:
    """kill -9 of the process at any point, three times."""
    path = tmp_path / "evaluated.jsonl"
    for lines in (4, 17, 30):
        with subprocess.Popen(
            [sys.executable, "-m", "tests.prune_fitness", str(path)], cwd=HERE.parent
        ) as process:
            while process.poll() is None and len(_lines(path)) < lines:
                time.sleep(0.01)
            process.kill()
        assert lines <= len(_lines(path)) < 49
    assert run(budget, path) == run(budget)


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
