"""No layer depends on a word that is read while it is written.

Block RAM returns undefined bits then, and synthesis adds no logic for that case
(`dscim.host.fpga.bitstream.families.NEVER_COLLIDE`). Here such reads return the word inverted.
"""

import re
import tempfile
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest

from dscim.host.device.target import open_target
from dscim.host.fpga.bitstream.families import NEVER_COLLIDE
from dscim.host.network import Evaluator
from dscim.progress import Say
from dscim.sim.elaborate import TOP, Design, elaborate
from dscim.sim.verilate import HARNESS, STORED, verilate
from tests import nodes
from tests.chains import Chain
from tests.small_devices import NARROW, WIDE, arithmetics
from tests.test_engine import check_layers
from tests.test_engine_operations import chain_of_all

NAMES = tuple(pattern.removeprefix("m:") for pattern in NEVER_COLLIDE)


def inverted(verilog: str) -> tuple[str, list[str]]:
    """The Verilog with inverted words for such reads, and the names of the changed memories."""
    changed = []

    def read(found: re.Match[str]) -> str:
        name, register, address = found["name"], found["register"], found["address"]
        if not any(fnmatch(name, pattern) for pattern in NAMES):
            return found[0]
        enable, written = re.search(
            rf"if \((\w+)(?:\[0\])?\)\n\t\t{name}\[(\w+)\]", verilog
        ).groups()
        if address == written:
            return found[0]  # the port that writes is not read
        changed.append(name)
        word = f"{name}[{address}]"
        return f"{register} <= (|{enable} && {written} == {address}) ? ~{word} : {word};"

    pattern = r"(?P<register>(?P<name>\w+)_dat\d+) <= (?P=name)\[(?P<address>\w+)\];"
    return re.sub(pattern, read, verilog), changed


def inverting_model(design: Design, *, trace: str = "", say: Say = print) -> Path:
    """The executable of the SoC whose memories return inverted words."""
    assert not trace
    folder = elaborate(design)
    verilog, changed = inverted((folder / f"{TOP}.v").read_text())
    for pattern in NAMES:
        assert any(fnmatch(name, pattern) for name in changed), pattern
    harness = sorted({*HARNESS.glob("*.cpp"), *HARNESS.glob("*.h")}.difference(STORED))
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / f"{TOP}.v"
        source.write_text(verilog)
        return verilate(
            "collisions",
            [source, *harness],
            TOP,
            files={path.name: path.read_text() for path in folder.glob("*.init")},
            say=say,
        )


@pytest.mark.parametrize("spec", (NARROW, WIDE), ids=("narrow", "wide"))
def test_layers_and_chains(spec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dscim.sim.server.model", inverting_model)
    rng = np.random.default_rng(40)
    with open_target("sim", spec) as device:
        check_layers(device, seed=41, count=12)
        for case in range(4):
            network = chain_of_all(rng)
            arithmetic = arithmetics(spec)[case % 2]
            x = nodes.random_image(rng, network.shape)
            outputs = Chain(spec, network, arithmetic).run(device, x)
            for name, expected in Evaluator(network, arithmetic).nodes(x[None]).items():
                if name in outputs:
                    np.testing.assert_array_equal(outputs[name], expected[0], err_msg=name)
