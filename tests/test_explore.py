"""`dscim fit --explore`: the front compared with a search of all devices, and its commands."""

import dataclasses
import json
import shlex
from pathlib import Path

import pytest

from dscim.boards import find_board
from dscim.boards.soc import Address, Setup
from dscim.errors import UserError
from dscim.gateware.specs import MacroSpec, ProductSpec, SocSpec, SpecError
from dscim.host.cli.build import COMMAND
from dscim.host.cli.entry import make_parser
from dscim.host.cli.options import filled
from dscim.host.cli.setup_options import setup_for
from dscim.host.compile import plan
from dscim.host.fpga.fit.design import design_of
from dscim.host.fpga.fit.explore import Explorer, Front, Space
from dscim.host.fpga.fit.fit import FULL
from dscim.host.fpga.fit.memories import LARGEST, Memories
from dscim.host.fpga.fit.options import MACRO_SIZES, SIZES, build_options
from dscim.host.fpga.fit.size import SizeModel
from dscim.host.fpga.fit.speed import network_speed
from dscim.host.network import Depthwise, Network, save
from dscim.host.network.untrained import keyword_network
from tests.commandline import assert_refused, contents, dscim
from tests.small_network import small_network

MODEL = SizeModel([], [])
"""The rough factors, whatever was measured."""

SMALL = Space((64,), (8, 16), (4, 16), (4, 16), (1, 4), (1, 2), (1,))


def setup_of(name: str = "ecpix5", **changes: object) -> Setup:
    board = find_board(name)
    device = board.devices[0]
    spec = SocSpec(MacroSpec(64, 4, samples=1), exact=False, requant_lanes=1, banks=1, read_ports=1)
    setup = Setup(board, device, spec, float(board.clock), board.baud)
    return dataclasses.replace(setup, **changes)  # type: ignore[arg-type]


def built(command: str) -> Setup:
    """What `dscim COMMAND` builds."""
    words = shlex.split(command)
    options = filled(COMMAND.options, make_parser(words).parse_args(words))
    return setup_for(options.board, options)


def quiet(*_: object) -> None:
    """Takes and ignores anything."""


@pytest.fixture(name="keyword", scope="module")
def _keyword() -> Network:
    return keyword_network(1)


@pytest.fixture(name="front", scope="module")
def _front(keyword: Network) -> Front:
    return Explorer(keyword, setup_of(), MODEL).front(64, SMALL, quiet)


def test_the_front_is_that_of_all_devices(keyword: Network, front: Front) -> None:
    """Computed without leaving any device out, for the same memories."""
    setup, arithmetic = setup_of(), ProductSpec(16, 64)
    part = setup.board.parts[setup.device]
    memories = Memories(keyword, arithmetic)
    points = set()
    for device in SMALL.devices(setup.spec, 4):
        spec = memories.chosen(
            device, lambda one: MODEL.estimate(design_of(one)).block_ram <= part.block_ram
        )
        assert spec is not None
        cycles = network_speed(keyword, arithmetic, spec).cycles
        assert cycles is not None
        points.add((MODEL.estimate(design_of(spec)).lut4, cycles))
    best = {
        (lut4, cycles)
        for lut4, cycles in points
        if not any(
            (other[0] <= lut4 and other[1] < cycles) or (other[0] < lut4 and other[1] <= cycles)
            for other in points
        )
    }
    found = [(one.size.lut4, one.speed.cycles) for one in front.candidates]
    assert len(found) > 3
    assert found == sorted(best)
    assert front.total == len(SMALL.devices(setup.spec, 4)) > front.tried


def test_devices_fit_the_part_and_hold_the_weights(keyword: Network, front: Front) -> None:
    part = find_board("ecpix5").parts["85F"]
    for one in front.candidates:
        assert one.size == MODEL.estimate(design_of(one.setup.spec))
        assert one.size.lut4 <= FULL * part.lut4
        assert one.size.block_ram <= part.block_ram
        assert one.size.multipliers <= part.multipliers
        assert one.speed.resident
        assert all(layer.strips == 1 for layer in one.speed.layers)
        assert one.rate == pytest.approx(75e6 / one.speed.cycles)
    assert front.fastest.rate == max(one.rate for one in front.candidates)


def test_memories_are_as_small_as_the_network_allows(keyword: Network) -> None:
    spec = SMALL.devices(setup_of().spec, 4)[0]
    arithmetic = ProductSpec(16, 64)
    chosen = Memories(keyword, arithmetic).chosen(spec, lambda _: True)
    assert chosen is not None
    assert plan(keyword, arithmetic, chosen).resident
    for name, smaller in (
        ("weight_rows", chosen.weight_rows - 16),
        ("channels", chosen.channels // 2),
        ("descriptors", chosen.descriptors // 2),
    ):
        less = dataclasses.replace(chosen, **{name: smaller})
        assert not plan(keyword, arithmetic, less).resident, name
    less = dataclasses.replace(chosen, activation_words=chosen.activation_words // 2)
    assert (
        network_speed(keyword, arithmetic, less).link_bytes
        > network_speed(keyword, arithmetic, chosen).link_bytes
    )


def test_without_room_the_weights_are_loaded_in_parts(keyword: Network) -> None:
    spec = SMALL.devices(setup_of().spec, 4)[0]
    arithmetic = ProductSpec(16, 64)
    memories = Memories(keyword, arithmetic)
    whole = memories.chosen(spec, lambda _: True)
    assert whole is not None
    parts = memories.chosen(spec, lambda one: one.weight_rows < whole.weight_rows)
    assert parts is not None and parts.activation_words == whole.activation_words
    speed = network_speed(keyword, arithmetic, parts)
    assert speed.cycles and not speed.resident
    assert memories.chosen(spec, lambda _: False) is None


@pytest.mark.parametrize(
    ("board", "changes"),
    [
        ("ecpix5", {}),
        ("ecpix5", {"address": Address()}),
        ("ecpix5", {"address": Address("10.0.0.9", "02:00:00:00:00:01"), "clock": 50e6}),
        ("ulx3s", {"baud": 115200}),
    ],
)
def test_the_build_command_makes_the_device(
    keyword: Network, board: str, changes: dict[str, object]
) -> None:
    front = Explorer(keyword, setup_of(board, **changes), MODEL).front(64, SMALL, quiet)
    for one in (front.fastest, front.best_per_lut, front.candidates[0]):
        assert one.command.startswith("dscim build ")
        assert built(one.command.removeprefix("dscim ")) == one.setup


def test_every_size_is_an_option_of_build() -> None:
    before = find_board("ecpix5").spec["85F"]
    macro = dataclasses.replace(before.macro, rows=64, columns=8, lanes=32, samples=4)
    after = dataclasses.replace(
        before,
        macro=macro,
        weight_rows=1040,
        channels=1024,
        activation_words=2048,
        banks=8,
        read_ports=2,
        strip=256,
        requant_lanes=4,
        descriptors=32,
        depthwise=4,
    )
    words = build_options(before, after).split()
    named = {word[2:].replace("-", "_") for word in words if word.startswith("--")}
    assert named == {
        *(name for name in MACRO_SIZES if getattr(before.macro, name) != getattr(macro, name)),
        *(name for name in SIZES if getattr(before, name) != getattr(after, name)),
    }
    assert named >= {"samples", "banks", "requant_lanes", "strip", "weight_rows", "read_ports"}
    assert built(f"build ecpix5 {' '.join(words)}").spec == after


def test_one_signed_mode_and_an_exact_macro_are_options_of_build() -> None:
    board = find_board("ecpix5").spec["85F"]
    split = built("build ecpix5 --signed split").spec
    assert split == dataclasses.replace(
        board, macro=dataclasses.replace(board.macro, signed=("split",))
    )
    assert built(f"build ecpix5 {build_options(board, split)}").spec == split
    exact = built("build ecpix5 --form exact --lanes 2 --columns 16").spec
    assert (exact.macro.form, exact.macro.lanes, exact.exact) == ("exact", 2, False)
    with pytest.raises(SpecError, match="already exact"):
        built("build ecpix5 --form exact --exact")


def test_banks_alone_lower_the_requantised_channels() -> None:
    spec = built("build ecpix5 --banks 1 --columns 4 --lanes 64 --samples 4").spec
    assert (spec.banks, spec.requant_lanes) == (1, 2)
    with pytest.raises(SpecError, match="8 requant_lanes are more than 2"):
        built("build ecpix5 --banks 1 --requant-lanes 8")


def test_cycles_of_each_kind(keyword: Network, front: Front) -> None:
    speed = front.fastest.speed
    names = {node.name for node in keyword.nodes_of(Depthwise)}
    own = sum(layer.cycles or 0 for layer in speed.layers if layer.name in names)
    assert speed.by_kind["Depthwise"] == own > 0
    assert sum(speed.by_kind.values()) == speed.cycles
    assert list(speed.by_kind.values()) == sorted(speed.by_kind.values(), reverse=True)


def test_what_cannot_be_explored_is_one_sentence(keyword: Network) -> None:
    explorer = Explorer(keyword, setup_of(), MODEL)
    with pytest.raises(UserError, match="100 rows cannot be cut"):
        explorer.front(64, Space(rows=(100,)), quiet)
    with pytest.raises(UserError, match="for 4 samples per row"):
        explorer.front(64, Space(samples=(1,)), quiet)
    with pytest.raises(SpecError, match="Stream length 100"):
        explorer.front(100, Space(), quiet)
    with pytest.raises(UserError, match="devices fits LFE5UM5G-85F-8BG554I for L = 64"):
        explorer.front(64, Space((256,), (256,), (64,), (4,), (16,), (32,)), quiet)
    array = MacroSpec(64, 4, form="array", lanes=1)
    spec = dataclasses.replace(setup_of().spec, macro=array)
    with pytest.raises(UserError, match="the form array with the sequence counter"):
        Explorer(keyword, setup_of(spec=spec), MODEL)


def test_the_lengths_include_the_networks_own() -> None:
    network = small_network(arithmetic=ProductSpec(16, 512))
    assert Explorer(network, setup_of(), MODEL).lengths() == (64, 128, 256, 512)
    network = small_network(arithmetic=ProductSpec(exact=True))
    assert Explorer(network, setup_of(), MODEL).lengths() == (64, 128, 256)


def test_a_group_of_64_rows(keyword: Network) -> None:
    network = dataclasses.replace(keyword, arithmetic=ProductSpec(64, 256))
    space = Space((64, 144), (8,), (16,), (4,), (4,), (2,))
    front = Explorer(network, setup_of(), MODEL).front(256, space, quiet)
    (one,) = front.candidates
    assert (one.setup.spec.macro.rows, one.setup.spec.macro.or_width) == (64, 64)
    assert "--variant ds-cim2" in one.command


def test_the_command_line(tmp_path: Path, keyword: Network) -> None:
    pytest.importorskip("matplotlib")
    file, plot, facts = tmp_path / "net.npz", tmp_path / "front.png", tmp_path / "front.json"
    save(keyword, file)
    sizes = ["--rows", 64, "--columns", 8, "--banks", 4, "--requant-lanes", 4, "--no-ethernet"]
    done = dscim(
        "fit", file, "ecpix5", "--explore", "--plot", plot, "--json", facts, *sizes, "--length", 64
    )
    assert done.returncode == 0, done.stderr
    assert plot.read_bytes().startswith(b"\x89PNG")
    found = json.loads(facts.read_text())
    (front,) = found["lengths"]
    assert front["length"] == 64 and len(front["front"]) > 1
    for one in front["front"]:
        assert one["spec"]["macro"]["rows"] == 64 and one["spec"]["banks"] == 4
        assert f"{one['cycles']}" in done.stdout
    for name in ("fastest", "best_per_lut"):
        assert front[name].startswith("dscim build ecpix5 --device 85F ")
        assert front[name] in done.stdout
    sizes += ["--lanes", 64, "--samples", 4, "--channels", 1024]
    done = dscim("fit", file, "ecpix5", "--length", 64, *sizes)
    assert done.returncode == 0, done.stderr
    assert "Depthwise" in done.stdout.partition("share")[2]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--explore --weight-rows 4096", "leave out --weight-rows"),
        ("--explore --depthwise 4", "leave out --depthwise"),
        ("--explore --form array", "needs the form selected, not array"),
        ("--explore --length 100", "Stream length 100"),
        ("--explore --plot front.txt", "ends in .png, .svg or .pdf"),
        ("--explore --plot none/front.png", "none"),
        ("--explore --rows 100 --length 64", "100 rows cannot be cut"),
        ("--plot front.png", "give both"),
    ],
)
def test_refusals_leave_no_file(tmp_path: Path, keyword: Network, words: str, message: str) -> None:
    save(keyword, tmp_path / "net.npz")
    done = dscim("fit", "net.npz", "ecpix5", *words.split(), folder=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert contents(tmp_path) == ["net.npz"]


def test_the_largest_memories_are_specs() -> None:
    SocSpec(**LARGEST)
    assert_refused(dscim("fit", "--explore"), "network file and a board")
