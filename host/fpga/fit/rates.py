"""The speed of the shipped ResNet-8 on finished builds, beside its accuracy in that arithmetic."""

import dataclasses
import json
from collections.abc import Iterator
from importlib import resources
from typing import Any

from dscim.boards.soc import SYS
from dscim.errors import UserError
from dscim.gateware.specs import VARIANTS, ProductSpec, SocSpec, SpecError
from dscim.host.fpga.bitstream.reports import read_reports
from dscim.host.fpga.fit.speed import network_speed
from dscim.host.network.shipped import shipped_network

NETWORK = "cifar10-resnet8-int8"
"""MLPerf Tiny's ResNet-8 for CIFAR-10, trained here; every file of it takes the same cycles."""

LENGTHS = (64, 128, 256)

COLUMNS = (
    "build",
    "arithmetic",
    ">MHz",
    ">cycles per image",
    ">images/s",
    ">accuracy",
    "weights in the device",
)
"""Titles of the columns; '>' aligns right."""


@dataclasses.dataclass(frozen=True)
class Rate:
    """A build with one arithmetic.

    megahertz: that the build reached. cycles: of the engine per image, by the cycle model.
    accuracy: on the 10,000 test images, fine-tuned if it is not exact. resident: all weights are in
    the device at once.
    """

    build: str
    arithmetic: str
    megahertz: float
    cycles: int
    accuracy: float
    resident: bool

    @property
    def per_second(self) -> float:
        """Images per second of the engine; transfers over the link are not part of it."""
        return 1e6 * self.megahertz / self.cycles

    def cells(self) -> tuple[str, ...]:
        """The row, in the order of COLUMNS."""
        return (
            f"`{self.build}`",
            self.arithmetic,
            f"{self.megahertz:.1f}",
            f"{self.cycles:,}",
            f"{self.per_second:,.0f}",
            f"{100 * self.accuracy:.2f} %",
            "yes" if self.resident else "no",
        )


def rates() -> Iterator[Rate]:
    """Every finished build with every arithmetic that it computes and that was evaluated."""
    network = shipped_network(f"{NETWORK}.npz")
    table = json.loads(
        (resources.files("dscim.host") / "data" / f"{NETWORK[:-5]}-table.json").read_text()
    )
    for facts in read_reports():
        spec = SocSpec.from_json(facts["spec"])
        for row in table["rows"]:
            arithmetic = ProductSpec.from_json(row["settings"])
            accuracy = row["as_is"] if arithmetic.exact else row.get("fine_tuned")
            if accuracy is None:
                continue
            try:
                speed = network_speed(network, arithmetic, spec)
            except (SpecError, UserError):
                continue
            if speed.cycles:
                yield Rate(
                    facts["command"],
                    _name(arithmetic),
                    _megahertz(facts),
                    speed.cycles,
                    accuracy,
                    speed.resident,
                )


def _name(arithmetic: ProductSpec) -> str:
    if arithmetic.exact:
        return "exact INT8"
    variant = {width: name for name, width in VARIANTS.items()}[arithmetic.or_width]
    return f"{variant}, L = {arithmetic.length}"


def _megahertz(facts: dict[str, Any]) -> float:
    reached: float = facts["clocks"][SYS]["reached_mhz"]
    return reached
