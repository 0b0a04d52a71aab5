"""BusRegister: every access reaches the bus once, and its answer the master; random traffic."""

import numpy as np
from litex.soc.interconnect import wishbone
from migen import passive, run_simulation

from dscim.gateware.link.bus_register import BusRegister

ACCESSES = 400


def answer_of(adr: int) -> int:
    """The slave's word at `adr`."""
    return (adr * 0x9E37_79B9 + 1) & 0xFFFF_FFFF


def ask(bus: wishbone.Interface, rng, done: list, counts: dict):
    """Random accesses, some aborted after a few cycles; `done` has those that were answered."""
    for _ in range(ACCESSES):
        access = (
            int(rng.integers(1 << 30)),
            int(rng.random() < 0.5),
            int(rng.integers(1 << 32)),
            int(rng.integers(1, 16)),
        )
        adr, we, data, sel = access
        for name, value in (("adr", adr), ("we", we), ("dat_w", data), ("sel", sel)):
            yield getattr(bus, name).eq(value)
        patience = int(rng.integers(1, 6)) if rng.random() < 0.2 else 1000
        yield bus.cyc.eq(1)
        yield bus.stb.eq(1)
        yield
        while not (yield bus.ack) and patience > 0:
            patience -= 1
            yield
        if (yield bus.ack):
            assert we or (yield bus.dat_r) == answer_of(adr)
            done.append(access)
        else:
            counts["given up"] += 1
        yield bus.cyc.eq(0)
        yield bus.stb.eq(0)
        for _ in range(1 + int(rng.integers(4))):
            yield
            assert not (yield bus.ack)


@passive
def serve(bus: wishbone.Interface, rng, served: list):
    """Answers at random; `served` has every access that was answered."""
    while True:
        asked = (yield bus.cyc) and (yield bus.stb)
        if (yield bus.ack):
            if asked:
                served.append(((yield bus.adr), (yield bus.we), (yield bus.dat_w), (yield bus.sel)))
            yield bus.ack.eq(0)
        elif asked and rng.random() < 0.4:
            yield bus.dat_r.eq(answer_of((yield bus.adr)))
            yield bus.ack.eq(1)
        yield


def test_every_access_is_done_once():
    seeds = np.random.default_rng(5).spawn(2)
    register, done, served, counts = BusRegister(), [], [], {"given up": 0}
    run_simulation(
        register,
        [ask(register.master, seeds[0], done, counts), serve(register.bus, seeds[1], served)],
    )
    assert counts["given up"] > 20
    assert len(done) > 250
    # An aborted access may have been served, too late for its answer, but in order.
    assert len(set(served)) == len(served)
    late = set(served) - set(done)
    assert [access for access in served if access not in late] == done
    assert len(late) <= counts["given up"]
