"""Hard budgets: limits on the costs of a structure, in several measures at once."""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, lru_cache

from dscim.errors import UserError
from dscim.gateware.specs import SocSpec
from dscim.host.research.prune.onchip import memory
from dscim.host.research.prune.operations import macs, operations, parameters
from dscim.host.research.prune.space import RATIOS, Space, Structure
from dscim.host.research.prune.table import CostTable

MEASURES = {
    "macs": "multiply-accumulates",
    "parameters": "parameters",
    "cycles": "DS-CIM cycles",
    "memory": "bytes of on-chip memory",
}
"""The measures that can be limited, with their units."""


class Budget:
    """The limits of a search over a space.

    limits: the maximum of each measure, per image. table: cost table of the space, needed for
    cycles. spec: the device, for memory; None: that of the table, else the default device.
    UserError, with the smallest possible value, for a limit that no structure meets.
    """

    def __init__(
        self,
        space: Space,
        limits: Mapping[str, int],
        table: CostTable | None = None,
        spec: SocSpec | None = None,
    ) -> None:
        self.space, self.limits, self.table = space, dict(limits), table
        self._spec = spec or (table.spec if table else SocSpec())
        if "cycles" in limits and table is None:
            raise UserError(
                "a budget of cycles needs a cost table; build one with "
                f"`dscim prune table --space {space.name}`."
            )
        self.costs = lru_cache(maxsize=1 << 16)(self._costs)
        for name, limit in self.limits.items():
            least = self.costs(self._cheapest[name])[name]
            if limit < least:
                raise UserError(
                    f"the budget of {limit} {MEASURES[name]} cannot be met: "
                    f"{space.name} needs at least {least}."
                )

    def holds(self, structure: Structure) -> bool:
        """True if the structure is within every limit."""
        return not any(self._over(structure))

    def wider(self, structure: Structure, gene: int) -> Structure | None:
        """The structure with this gene raised by as little as the budget allows, else None.

        Only cycles can fall as a width grows, so only for cycles does the search continue beyond
        the first ratio id that exceeds the limit.
        """
        for ratio_id in range(structure[gene] + 1, RATIOS):
            other = (*structure[:gene], ratio_id, *structure[gene + 1 :])
            over = next(self._over(other), None)
            if over is None:
                return other
            if over != "cycles":
                return None
        return None

    def _over(self, structure: Structure) -> Iterator[str]:
        """The measures of the structure that exceed their limits."""
        if set(self.limits) == {"cycles"} and self.table is not None:  # no operation need be listed
            known = {"cycles": self.table.total(self.space, structure)}
        else:
            known = self.costs(structure)
        return (
            name
            for name in sorted(self.limits, key="cycles".__eq__)
            if known[name] > self.limits[name]
        )

    def _costs(self, structure: Structure) -> dict[str, int]:
        """The costs of the structure per image; cycles only with a table."""
        done = operations(self.space, structure)
        known = {
            "macs": macs(done),
            "parameters": parameters(done),
            "memory": memory(self._spec, done),
        }
        if self.table is not None:
            known["cycles"] = self.table.total(self.space, structure)
        return known

    @cached_property
    def _cheapest(self) -> dict[str, Structure]:
        """The cheapest structure in each limited measure.

        All measures but cycles grow with every width.
        """
        found = dict.fromkeys(self.limits, self.space.least)
        if "cycles" in found and self.table is not None:
            found["cycles"] = self.table.cheapest(self.space)[1]
        return found

    @cached_property
    def anchor(self) -> Structure:
        """A structure within all limits, among the cheapest; UserError where none was found."""
        for structure in (self.space.least, *self._cheapest.values()):
            if self.holds(structure):
                return structure
        least = {name: self.costs(each)[name] for name, each in self._cheapest.items()}
        raise UserError(
            f"each of the budgets {self.limits} can be met (minima: {least}), but no "
            "structure was found that meets all of them; raise one."
        )

    def uniform(self) -> Structure:
        """The widest structure with one ratio for all widths; UserError where none fits."""
        for ratio_id in reversed(range(RATIOS)):
            structure = (ratio_id,) * self.space.genes
            if self.holds(structure):
                return structure
        raise UserError(
            f"no uniform scaling of {self.space.name} is within {self.limits}; raise the budget."
        )

    def widest(self, path: Callable[[float], Structure], most: float) -> float:
        """The greatest t in 0..most whose structure path(t) holds, found by bisection.

        path(0) must hold. Costs that are not quite monotone only make it stop early.
        """
        if self.holds(path(most)):
            return most
        low, high = 0.0, most
        for _ in range(10):
            middle = (low + high) / 2
            low, high = (middle, high) if self.holds(path(middle)) else (low, middle)
        return low
