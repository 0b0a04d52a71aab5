"""The dscim core: engine, memories and registers, to be put on the bus of a SoC."""

from litex.gen import LiteXModule
from migen import ClockDomainsRenamer, If

from dscim.gateware import descriptor, registers
from dscim.gateware.bank import RegisterBank
from dscim.gateware.engine.engine import Engine
from dscim.gateware.engine.parameters import PARAMETER_BITS
from dscim.gateware.memory import WindowedMemory
from dscim.gateware.specs import SocSpec
from dscim.gateware.specs.soc import WORD_BYTES


class Core(LiteXModule):
    """Everything but the bus and the links.

    memories: `WindowedMemory` by the names of `registers.MEMORY_BASES`, each with its `bus`.
    bank:     the CSRs of `registers.REGISTERS`.
    engine_domain: the engine's clock domain: `sys`, or a domain with the same edges. It may leave
              edges out once the engine has not been busy for `engine.DRAIN` cycles.
    """

    def __init__(self, spec: SocSpec, engine_domain: str = "sys"):
        self.memories = {
            "descriptors": WindowedMemory(32, spec.descriptors * descriptor.WORDS),
            "parameters": WindowedMemory(PARAMETER_BITS, spec.channels),
            "weights": WindowedMemory(8 * spec.macro.columns, spec.weight_rows),
            "activations": WindowedMemory(
                8 * WORD_BYTES,
                spec.activation_rows,
                granularity=8,
                banks=spec.banks,
                second=spec.read_ports > 1,
            ),
        }
        self.bank = bank = RegisterBank(registers.REGISTERS)
        in_domain = ClockDomainsRenamer(engine_domain)
        self.engine = engine = in_domain(Engine(spec, self.memories))

        # # #

        for name, memory in self.memories.items():
            self.add_module(f"{name}_memory", memory)
            self.comb += memory.locked.eq(engine.busy)
        control = bank.control.fields
        self.comb += [
            bank.magic.fields.value.eq(registers.MAGIC),
            bank.protocol.fields.value.eq(registers.PROTOCOL),
            bank.spec_hash.fields.value.eq(spec.hash),
            engine.start.eq(control.start),
            engine.first.eq(control.first),
            engine.count.eq(control.count),
            bank.status.fields.busy.eq(engine.busy),
            bank.status.fields.error.eq(engine.error),
            bank.status.fields.place.eq(engine.place),
        ]
        events = engine.events
        counted = {
            "cycles_busy": events.busy,
            "cycles_computing": events.computing,
            "cycles_weights": events.weights,
            "cycles_activations": events.activations,
            "cycles_vector": events.vector,
            "cycles_link": ~events.busy,
            "products": events.product,
        }
        for name in registers.COUNTERS:
            value = getattr(bank, name).fields.value
            self.sync += [
                If(counted[name], value.eq(value + 1)),
                If(control.clear, value.eq(0)),
            ]
