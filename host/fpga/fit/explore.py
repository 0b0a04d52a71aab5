"""The best devices for a network on a board: those that no smaller device outruns."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

from dscim.boards.soc import IP, MAC, Setup
from dscim.errors import UserError
from dscim.gateware.descriptor import Operation
from dscim.gateware.layout import ceil_div, pixel_words
from dscim.gateware.specs import LayerSpec, MacroSpec, ProductSpec, SocSpec, SpecError
from dscim.gateware.specs.macro import UNIT_ROWS
from dscim.host.compile.packing import best_packing, packed_layer
from dscim.host.compile.products import depthwise_groups
from dscim.host.compile.rows import with_rows
from dscim.host.fpga.fit.design import design_of
from dscim.host.fpga.fit.fit import FULL
from dscim.host.fpga.fit.memories import LARGEST, Memories
from dscim.host.fpga.fit.options import build_options
from dscim.host.fpga.fit.size import Size, SizeModel
from dscim.host.fpga.fit.speed import Speed, network_speed
from dscim.host.network import Network
from dscim.progress import Tick

LENGTHS = (64, 128, 256)
"""Stream lengths that are explored in addition to the network's own."""


@dataclasses.dataclass(frozen=True)
class Space:
    """The sizes that are tried, by their names in `MacroSpec` and `SocSpec`.

    Combinations that are not a device are left out; UserError if nothing is left.
    """

    rows: tuple[int, ...] = (16, 32, 64, 128, 144, 192, 256)
    columns: tuple[int, ...] = (4, 8, 16, 32, 64, 128)
    lanes: tuple[int, ...] = (4, 8, 16, 32, 64)
    samples: tuple[int, ...] = (1, 4, 8, 16, 32, 64)
    banks: tuple[int, ...] = (1, 2, 4, 8, 16)
    requant_lanes: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    read_ports: tuple[int, ...] = (1, 2)

    def devices(self, spec: SocSpec, least: int) -> list[SocSpec]:
        """The devices like `spec` with these sizes.

        least: the samples that the macro must be built for; the smallest such number is enough.
        """
        enough = [samples for samples in sorted(self.samples) if samples >= least]
        made, refused = [], ""
        for rows, columns, lanes, banks, requant_lanes, read_ports in itertools.product(
            self.rows, self.columns, self.lanes, self.banks, self.requant_lanes, self.read_ports
        ):
            if not enough or requant_lanes > min(2 * banks, columns):
                continue
            if lanes > spec.macro.or_width * least:
                continue  # more points per cycle than a product has
            try:
                macro = dataclasses.replace(
                    spec.macro, rows=rows, columns=columns, lanes=lanes, samples=enough[0]
                )
                device = dataclasses.replace(
                    spec,
                    macro=macro,
                    banks=banks,
                    requant_lanes=requant_lanes,
                    read_ports=read_ports,
                    **LARGEST,
                )
            except SpecError as error:
                refused = str(error)
                continue
            made.append(device)
        if not made:
            raise UserError(
                refused
                or f"None of the sizes {_sizes(self)} makes a device for {least} samples per row; "
                "choose others."
            )
        return made


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A device that fits the board, and the network on it. rate: inferences/s of the engine."""

    setup: Setup
    size: Size
    speed: Speed
    rate: float

    @property
    def name(self) -> str:
        """Its sizes in words."""
        spec = self.setup.spec
        macro = spec.macro
        return (
            f"{macro.rows} x {macro.columns}, P = {macro.lanes}, n <= {macro.max_samples}, "
            f"{spec.banks} banks{', 2 read ports' if spec.read_ports > 1 else ''}, "
            f"{spec.requant_lanes} lanes"
        )

    @property
    def rate_per_lut(self) -> float:
        """Inferences/s per four-input table."""
        return self.rate / self.size.lut4

    @property
    def command(self) -> str:
        """The command that builds it with the board's defaults for all else."""
        setup = self.setup
        board = setup.board
        words = ["dscim", "build", board.name, "--device", setup.device]
        words += build_options(board.spec[setup.device], setup.spec).split()
        words += ["--exact"] if setup.spec.exact and not board.spec[setup.device].exact else []
        if setup.clock != board.clock:
            words += ["--clock", f"{setup.clock / 1e6:g}"]
        if setup.baud != board.baud:
            words += ["--baud", f"{setup.baud}"]
        if setup.address is not None:
            words += ["--ip", setup.address.ip] if setup.address.ip != IP else []
            words += ["--mac", setup.address.mac] if setup.address.mac != MAC else []
        elif board.ethernet is not None:
            words.append("--no-ethernet")
        words += ["--scope"] if setup.scope else []
        return " ".join(words)


@dataclasses.dataclass(frozen=True)
class Front:
    """The result for one stream length.

    candidates: the devices that no other one is at least as fast as with fewer tables, by their
    tables. tried: devices whose cycles were computed, of `total`.
    """

    length: int
    candidates: tuple[Candidate, ...]
    tried: int
    total: int

    @property
    def fastest(self) -> Candidate:
        """The device with the most inferences/s."""
        return self.candidates[-1]

    @property
    def best_per_lut(self) -> Candidate:
        """The device with the most inferences/s per table."""
        return max(self.candidates, key=lambda one: one.rate_per_lut)


class Explorer:
    """Finds the fronts of a network on a board.

    setup: the board, clock and links; its device is the default for what a `Space` leaves open.
    UserError for a device without a macro `selected` with P points per cycle.
    """

    def __init__(self, network: Network, setup: Setup, model: SizeModel) -> None:
        macro = setup.spec.macro
        if macro.form != "selected" or macro.ordered:
            raise UserError(
                f"A macro of the form {macro.form} with the sequence {macro.sequence.kind} cannot "
                "be explored; choose the form selected with counter or table."
            )
        self._network, self._setup, self._model = network, setup, model

    def lengths(self) -> tuple[int, ...]:
        """The stream lengths to explore: LENGTHS and the network's own."""
        own = self._network.arithmetic
        return tuple(sorted({*LENGTHS, *([] if own.exact else [own.length])}))

    def front(self, length: int, space: Space, tick: Tick) -> Front:
        """The front for one stream length; UserError if no device fits the board.

        tick: called with the devices that are done, and their number.
        """
        arithmetic = dataclasses.replace(self._network.arithmetic, length=length, exact=False)
        layers = [layer for _, layer in self._network.layers(arithmetic)]
        width = arithmetic.or_width
        macro = dataclasses.replace(self._setup.spec.macro, or_width=width, samples=None)
        base = dataclasses.replace(self._setup.spec, macro=macro)
        base.macro_for(arithmetic)
        least = max((layer.product.samples for layer in layers), default=arithmetic.samples)
        devices = [
            (self._size(device).lut4, place, device)
            for place, device in enumerate(space.devices(base, least))
        ]
        devices.sort()
        memories = Memories(self._network, arithmetic)
        found: list[Candidate] = []
        tried = 0
        for done, (_, _, device) in enumerate(devices):
            tick(done, len(devices))
            if not self._has_logic(device):
                continue
            if found and _floor(device, layers) >= (found[-1].speed.cycles or 0):
                continue
            tried += 1
            candidate = self._candidate(device, memories, arithmetic)
            if candidate is not None and (not found or candidate.rate > found[-1].rate):
                if found and found[-1].size.lut4 == candidate.size.lut4:
                    found.pop()
                found.append(candidate)
        tick(len(devices), len(devices))
        if not found:
            part = self._setup.board.parts[self._setup.device]
            raise UserError(
                f"None of {len(devices)} devices fits {part.name} for L = {length}; choose a "
                "larger part or other sizes."
            )
        return Front(length, tuple(found), tried, len(devices))

    def _candidate(
        self, device: SocSpec, memories: Memories, arithmetic: ProductSpec
    ) -> Candidate | None:
        """The device with the best memories that fit; None if the network cannot run on it."""
        part = self._setup.board.parts[self._setup.device]
        spec = memories.chosen(device, lambda one: self._size(one).block_ram <= part.block_ram)
        if spec is None:
            return None
        try:
            setup = dataclasses.replace(self._setup, spec=spec)
            speed = network_speed(self._network, arithmetic, spec)
        except (UserError, SpecError):
            return None
        if not speed.cycles:
            return None
        return Candidate(setup, self._size(spec), speed, setup.clock / speed.cycles)

    def _size(self, spec: SocSpec) -> Size:
        ethernet = self._setup.address is not None
        return self._model.estimate(design_of(spec, ethernet=ethernet))

    def _has_logic(self, spec: SocSpec) -> bool:
        """Whether the part has the tables and the multipliers; memories do not change these."""
        part, size = self._setup.board.parts[self._setup.device], self._size(spec)
        return size.lut4 <= int(FULL * part.lut4) and size.multipliers <= part.multipliers


def _floor(spec: SocSpec, layers: Sequence[LayerSpec]) -> int:
    """Cycles that no device with this macro and these lanes goes below."""
    return sum(
        min(_least(spec, each) for each in (layer, with_rows(spec, layer)) if each is not None)
        for layer in layers
    )


def _least(spec: SocSpec, layer: LayerSpec) -> int:
    """Cycles in which the macro multiplies, or in which all outputs are requantised."""
    macro: MacroSpec = spec.macro
    groups = depthwise_groups(spec, layer) if layer.depthwise else []
    apart = any(group.operation is Operation.CHANNELWISE for group in groups)
    layer = packed_layer(layer, best_packing(spec, layer))
    pixels = layer.output[0] * layer.output[1]
    taps = layer.kernel[0] * layer.kernel[1]
    planes = 1 if layer.depthwise else pixel_words(layer.input[2])
    wide = min(UNIT_ROWS, macro.columns) if layer.depthwise else macro.columns
    tiles = ceil_div(taps * planes, macro.units) * ceil_div(layer.outputs, wide)
    drained = pixels * ceil_div(layer.outputs, spec.requant_lanes)
    if apart:
        return drained
    return max(pixels * tiles * macro.cycles(layer.product), drained)


def facts(front: Front) -> dict[str, Any]:
    """A front as JSON values."""
    return {
        "length": front.length,
        "tried": front.tried,
        "devices": front.total,
        "front": [_facts(one) for one in front.candidates],
        "fastest": front.fastest.command,
        "best_per_lut": front.best_per_lut.command,
    }


def _facts(one: Candidate) -> dict[str, Any]:
    return {
        "name": one.name,
        "spec": one.setup.spec.to_json(),
        "size": dataclasses.asdict(one.size),
        "cycles": one.speed.cycles,
        "cycles_by_kind": one.speed.by_kind,
        "inferences_per_second": one.rate,
        "resident": one.speed.resident,
        "link_bytes": one.speed.link_bytes,
        "command": one.command,
    }


def _sizes(space: Space) -> str:
    values = {name: list(sizes) for name, sizes in dataclasses.asdict(space).items()}
    return ", ".join(f"{name} {sizes}" for name, sizes in values.items())
