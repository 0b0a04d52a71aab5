"""The size model compared with built and synthesised designs."""

import dataclasses

from dscim.host.fpga.bitstream.reports import read_reports
from dscim.host.fpga.fit import design
from dscim.host.fpga.fit.size import Size, SizeModel


@dataclasses.dataclass(frozen=True)
class Row:
    """A design: its actual size, and the model's estimate."""

    name: str
    made_by: str
    lut4: int
    block_ram: int
    multipliers: int
    estimate: Size

    @property
    def off(self) -> float:
        """The relative error of the estimated tables."""
        return self.estimate.lut4 / self.lut4 - 1


def compare(model: SizeModel) -> list[Row]:
    """Every build with a report in the project, and every design of the model's table."""
    synthesised = [
        Row(
            row.design.name,
            row.yosys,
            row.lut4,
            row.block_ram,
            row.multipliers,
            model.synthesised(row.design),
        )
        for row in model.rows
    ]
    return [*built(model), *synthesised]


def built(model: SizeModel) -> list[Row]:
    """The builds on ECP5 parts, as nextpnr counted them, each estimated from the others."""
    rows = []
    for facts in read_reports():
        if not design.current(facts):
            continue
        cells = {name: count["used"] for name, count in facts["cells"].items()}
        made = design.built(facts)
        rows.append(
            Row(
                facts["command"],
                f"nextpnr for {facts['part']}",
                cells["lut4"],
                cells["block_ram"],
                cells["multipliers"],
                model.without(made).estimate(made),
            )
        )
    return rows
