"""The exact minimum of a sum of terms that depend on few genes each, found by elimination."""

from collections.abc import Sequence
from functools import reduce

import numpy as np

from dscim.arrays import Int64
from dscim.host.research.prune.space import RATIOS, Structure

Term = tuple[tuple[int | None, ...], Int64]
"""Genes and values over them, one axis per gene; an axis of length 1 has no gene."""


def minimum(terms: Sequence[Term], genes: int) -> tuple[int, Structure]:
    """The minimum of the sum of all terms over the ratio ids of `genes` genes, and its place.

    The gene that shares terms with the fewest others is eliminated first: its terms are added up
    and replaced by their minimum over the gene. Widths meet only within a layer, so tables stay
    small.
    """
    left = [_plain(term) for term in terms]
    steps: list[tuple[int, tuple[int, ...], Int64]] = []
    for _ in range(genes):
        open_genes = set(range(genes)) - {gene for gene, _, _ in steps}
        gene = min(open_genes, key=lambda g: (len(_neighbours(left, g)), g))
        others = tuple(sorted(_neighbours(left, gene)))
        own = [term for term in left if gene in term[0]]
        total = reduce(
            np.add,
            (_spread(term, (*others, gene)) for term in own),
            np.zeros((1,) * len(others) + (RATIOS,), np.int64),
        )
        left = [term for term in left if gene not in term[0]]
        left.append((others, total.min(axis=-1)))
        steps.append((gene, others, total))
    chosen: dict[int, int] = {}
    for gene, others, total in reversed(steps):
        chosen[gene] = int(total[tuple(chosen[other] for other in others)].argmin())
    return int(sum(values.sum() for _, values in left)), tuple(chosen[g] for g in range(genes))


def _plain(term: Term) -> tuple[tuple[int, ...], Int64]:
    """A term without fixed axes, each gene once: two axes of one gene become the diagonal."""
    genes, values = term
    kept = tuple(gene for gene in genes if gene is not None)
    values = values.reshape([RATIOS] * len(kept))
    if len(kept) == 2 and kept[0] == kept[1]:
        return kept[:1], values.diagonal()
    return kept, values


def _neighbours(terms: Sequence[tuple[tuple[int, ...], Int64]], gene: int) -> set[int]:
    """The genes that share a term with `gene`."""
    return {other for genes, _ in terms if gene in genes for other in genes} - {gene}


def _spread(term: tuple[tuple[int, ...], Int64], axes: tuple[int, ...]) -> Int64:
    """The term's values over the genes `axes`, with axes of length 1 for genes it lacks."""
    genes, values = term
    order = [genes.index(gene) for gene in axes if gene in genes]
    shape = [RATIOS if gene in genes else 1 for gene in axes]
    return values.transpose(order).reshape(shape)
