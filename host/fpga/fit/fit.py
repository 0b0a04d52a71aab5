"""Whether a network fits a board: what does not fit, and the smallest change that helps."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from dscim.boards.soc import Setup
from dscim.errors import UserError
from dscim.gateware.specs import ProductSpec, SocSpec, SpecError
from dscim.host.fpga.fit.design import design_of
from dscim.host.fpga.fit.memories import LARGEST
from dscim.host.fpga.fit.options import build_options
from dscim.host.fpga.fit.size import Size, SizeModel
from dscim.host.fpga.fit.speed import Speed, network_speed
from dscim.host.network import Network

FULL = 0.9
"""The fraction of a part's tables above which nextpnr fails to route or misses the clock."""


@dataclasses.dataclass(frozen=True)
class Fit:
    """Whether a network fits a device.

    size: an estimate. speed: None if the network cannot run. faults: why it does not fit, one
    sentence each. change: options of `dscim build` that would make it fit; None if it fits or
    nothing helps.
    """

    setup: Setup
    size: Size
    speed: Speed | None
    faults: tuple[str, ...]
    change: str | None


class Fitting:
    """Checks whether devices fit one network in one arithmetic; model: estimates their sizes."""

    def __init__(self, network: Network, arithmetic: ProductSpec, model: SizeModel) -> None:
        self._network, self._arithmetic, self._model = network, arithmetic, model

    def fit(self, setup: Setup) -> Fit:
        """Whether `setup` fits as it is, and if not, what to change."""
        size, speed, faults = self._judge(setup)
        change = (
            next(
                (
                    build_options(setup.spec, spec)
                    for spec in self._others(setup.spec)
                    if self._fits(setup, spec)
                ),
                None,
            )
            if faults
            else None
        )
        return Fit(setup, size, speed, faults, change)

    def _judge(self, setup: Setup) -> tuple[Size, Speed | None, tuple[str, ...]]:
        part = setup.board.parts[setup.device]
        size = self._model.estimate(design_of(setup.spec, ethernet=setup.address is not None))
        faults = [
            f"{part.name} has {room} {what}, and the device needs about {need}."
            for what, need, room in (
                (
                    "four-input tables, of which nine in ten can be used",
                    size.lut4,
                    int(FULL * part.lut4),
                ),
                ("block RAMs", size.block_ram, part.block_ram),
                ("multipliers", size.multipliers, part.multipliers),
            )
            if need > room
        ]
        try:
            speed = network_speed(self._network, self._arithmetic, setup.spec)
        except (UserError, SpecError) as error:
            return size, None, (*faults, str(error))
        if not speed.resident:
            faults.append(
                f"The weights do not fit the device at once: {speed.link_bytes} bytes "
                "cross the link for every image."
            )
        cut = [layer.name for layer in speed.layers if layer.strips > 1]
        if cut:
            faults.append(
                f"{cut[0]!r}{f' and {len(cut) - 1} more' if cut[1:] else ''} must run in strips "
                "because the tensors do not fit the activation memory at once."
            )
        return size, speed, tuple(faults)

    def _fits(self, setup: Setup, spec: SocSpec) -> bool:
        try:
            return not self._judge(dataclasses.replace(setup, spec=spec))[2]
        except SpecError:
            return False

    def _others(self, spec: SocSpec) -> Iterator[SocSpec]:
        """Devices similar to `spec`, each with the memory that the network needs.

        First with the same macro, then with rows and columns halved more and more often.
        """
        macro = spec.macro
        halvings = [(total - less, less) for total in range(9) for less in range(total + 1)]
        for rows, columns in halvings:
            try:
                smaller = dataclasses.replace(
                    macro, rows=macro.rows >> rows, columns=macro.columns >> columns
                )
                lanes = min(spec.requant_lanes, smaller.columns)
                enough = self._enough(dataclasses.replace(spec, macro=smaller, requant_lanes=lanes))
            except (UserError, SpecError):
                continue
            if enough != spec:
                yield enough

    def _enough(self, spec: SocSpec) -> SocSpec:
        """`spec` with each memory doubled until the network fits; sufficient memories stay.

        UserError if not even the largest memories are enough.
        """

        def fits(trial: SocSpec) -> bool:
            try:
                speed = network_speed(self._network, self._arithmetic, trial)
            except (UserError, SpecError):
                return False
            return speed.resident and all(layer.strips == 1 for layer in speed.layers)

        found = _resized(spec, LARGEST)
        if not fits(found):
            raise UserError("not even the largest memories are enough")
        for name in LARGEST:
            size = getattr(spec, name)
            while not fits(_resized(found, {name: size})):
                size = min(2 * size, LARGEST[name])
            found = _resized(found, {name: size})
        return found


def _resized(spec: SocSpec, sizes: dict[str, Any]) -> SocSpec:
    return dataclasses.replace(spec, **sizes)
