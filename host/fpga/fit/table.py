"""The size model beside what was built and synthesised."""

import dataclasses

from dscim.host.fpga.bitstream.reports import read_reports
from dscim.host.fpga.fit import design
from dscim.host.fpga.fit.size import Size, SizeModel


@dataclasses.dataclass(frozen=True)
class Row:
    """A design: what it took and what the model says. off: relative, of the tables."""

    name: str
    made_by: str
    lut4: int
    block_ram: int
    multipliers: int
    estimate: Size

    @property
    def off(self) -> float:
        """The estimate's error of the tables, as a part of what they are."""
        return self.estimate.lut4 / self.lut4 - 1


def compare(model: SizeModel) -> list[Row]:
    """Every design of the model's table, and every build whose report the project has."""
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
    """The builds on ECP5 alone, as nextpnr counted them, each estimated from the others."""
    rows = []
    for facts in read_reports():
        if not facts["part"].startswith("LFE5"):
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
