"""Point sets with the least error for operands of a distribution: descent from random starts.

If all rows have the same points, the mean square error of a row is a quadratic form of its points
(`moments`): J = d*d * sum over s, t of A(p_s, p_t) B(q_s, q_t) - 2 d * sum over s of U(p_s) V(q_s),
where d is the value of a count. One point at a time moves to the best of all places, which a matrix
product finds; when no point moves, a few are moved at random and the descent continues.
"""

import dataclasses

import numpy as np

from dscim.arrays import Float64, Int64
from dscim.host.research.studies.operands import Axis

SWEEPS = 60
KICKED = 3
"""Points that are moved at random when a descent has ended."""


@dataclasses.dataclass(frozen=True, eq=False)
class Form:
    """The quadratic form: a, w (S, S) by pairs of thresholds, linear (S, S); square: E[v*v]."""

    a: Float64
    w: Float64
    linear: Float64
    square: float

    @property
    def single(self) -> Float64:
        """(S, S): A(p, p) B(q, q)."""
        return np.outer(np.diag(self.a), np.diag(self.w))


@dataclasses.dataclass(frozen=True, eq=False)
class PointSet:
    """An optimised point set.

    points: (2, n) thresholds p, q, with p ascending. decode: (n,) value of a hit of each point.
    error: mean square error of a row, in square product units.
    """

    points: Int64
    decode: Float64
    error: float


def form_of(a: Axis, w: Axis, side: int, centred: bool = False) -> Form:
    """The form of rows with `side` thresholds per axis.

    centred: functions of one operand alone do not count as error, because an exact sum removes
    them.
    """
    place = np.maximum.outer(np.arange(side), np.arange(side))
    pairs, valued, square = [], [], 1.0
    for axis in (a, w):
        mean, middle = (axis.mean, axis.signed[:side]) if centred else (0.0, np.zeros(side))
        pairs.append(axis.fires[place] - np.outer(middle, middle))
        valued.append(axis.valued[:side] - mean * middle)
        square *= axis.square - mean**2
    return Form(pairs[0], pairs[1], np.outer(valued[0], valued[1]), square)


def error_of(form: Form, points: Int64, decode: Float64) -> float:
    """Mean square error of a row with these points; decode: (n,)."""
    quadratic, linear = _parts(form, points, decode)
    return quadratic - 2 * linear + form.square


def best_points(
    form: Form, weights: Float64, decode: float | None, beginnings: int, rng: np.random.Generator
) -> PointSet:
    """The best point set of `beginnings` descents, each continued `beginnings` // 10 times.

    weights: (n,) of the points, all 1 for a plain count. decode: value of a hit of weight 1;
    None: the best value, by least squares.
    """
    best: PointSet | None = None
    for _ in range(beginnings):
        found = _descended(
            form, rng.integers(0, len(form.a), (2, len(weights))), weights, decode, rng
        )
        for _ in range(beginnings // 10):
            thrown = found.points.copy()
            picks = rng.integers(0, len(weights), KICKED)
            thrown[:, picks] = rng.integers(0, len(form.a), (2, KICKED))
            other = _descended(form, thrown, weights, decode, rng)
            found = other if _less(other, found) else found
        best = found if best is None or _less(found, best) else best
    assert best is not None
    return best


def rescaled(form: Form, found: PointSet) -> PointSet:
    """The same points with the gain that has the least error."""
    quadratic, linear = _parts(form, found.points, found.decode)
    decode = found.decode * (linear / quadratic)
    return PointSet(found.points, decode, error_of(form, found.points, decode))


def _less(one: PointSet, other: PointSet) -> bool:
    """True if `one` has less error by more than rounding, so that mirror images count as equal."""
    return one.error < other.error * (1 - 1e-9)


def _descended(
    form: Form, points: Int64, weights: Float64, decode: float | None, rng: np.random.Generator
) -> PointSet:
    p, q = points.copy()
    single = form.single
    worth = weights * (decode if decode is not None else form.square**0.5 * 4 / weights.sum())
    for _ in range(SWEEPS):
        moved = False
        for s in rng.permutation(len(weights)):
            others = np.arange(len(weights)) != s
            crossed = (form.a[:, p[others]] * worth[others]) @ form.w[q[others]]
            cost = worth[s] * single + 2 * (crossed - form.linear)
            place = divmod(int(cost.argmin()), len(form.a))
            if cost[place] < cost[p[s], q[s]] - 1e-9 * abs(cost[place]):
                p[s], q[s] = place
                moved = True
        if decode is None:
            quadratic, linear = _parts(form, np.stack([p, q]), worth)
            worth = worth * (linear / quadratic)
        if not moved:
            break
    order = np.lexsort((q, p))
    found = np.stack([p, q])[:, order]
    return PointSet(found, worth[order], error_of(form, found, worth[order]))


def _parts(form: Form, points: Int64, decode: Float64) -> tuple[float, float]:
    """E[t*t] and E[t*v] of a row."""
    p, q = points
    pairs = form.a[np.ix_(p, p)] * form.w[np.ix_(q, q)]
    return float(decode @ pairs @ decode), float(decode @ form.linear[p, q])
