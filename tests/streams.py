"""Streams in Migen's simulator: sources and sinks that stall at random, memories in Python.

All generators act on the rising edge as registers do: they see the values before the edge, and set
those after it.
"""

from migen import passive

PATIENCE = 2000
"""Cycles after which a source or sink considers the stream dead."""


def payload(endpoint) -> list[str]:
    """The names of an endpoint's fields, with `last`."""
    return ["last", *(name for name, *_ in endpoint.description.payload_layout)]


def set_fields(record, values: dict[str, int]):
    """Sets fields of a Record or an Endpoint by their names."""
    for name, value in values.items():
        yield getattr(record, name).eq(value)


def pulse(*signals):
    """Holds signals high for a cycle."""
    for signal in signals:
        yield signal.eq(1)
    yield
    for signal in signals:
        yield signal.eq(0)


def feed(endpoint, beats, rng, stall: float):
    """Sends beats (dicts by field). Before each, every cycle stalls with probability `stall`; the
    fields hold noise while nothing is valid."""
    names = payload(endpoint)
    for beat in beats:
        while rng.random() < stall:
            yield endpoint.valid.eq(0)
            for name in names:
                signal = getattr(endpoint, name)
                yield signal.eq(int.from_bytes(rng.bytes(len(signal) // 8 + 1), "big"))
            yield
        yield endpoint.valid.eq(1)
        yield from set_fields(endpoint, {name: beat.get(name, 0) for name in names})
        yield
        patience = PATIENCE
        while not (yield endpoint.ready):
            patience -= 1
            assert patience, "a beat was never taken"
            yield
        yield endpoint.valid.eq(0)


def drain(endpoint, beats: list, count: int, rng, stall: float):
    """Appends `count` beats to the list `beats`; not ready with probability `stall`.

    Asserts that a waiting beat does not change, and that the next one comes in time.
    """
    names = payload(endpoint)
    waiting, silence = None, 0
    while len(beats) < count:
        yield endpoint.ready.eq(int(rng.random() >= stall))
        yield
        valid, ready = (yield endpoint.valid), (yield endpoint.ready)
        beat = {}
        for name in names:
            beat[name] = yield getattr(endpoint, name)
        assert waiting is None or (valid and beat == waiting), "a waiting beat changed"
        waiting = beat if valid and not ready else None
        silence = 0 if valid else silence + 1
        assert silence < PATIENCE, f"no beat after {len(beats)} of {count}"
        if valid and ready:
            beats.append(beat)
    yield endpoint.ready.eq(0)


@passive
def serve(read, contents):
    """A memory behind a `read` record (adr, re, dat_r), as of `WindowedMemory`: the word is valid
    from the cycle after re until the next re."""
    yield
    while True:
        if (yield read.re):
            yield read.dat_r.eq(int(contents[(yield read.adr)]))
        yield


def wait_for(signal, limit: int = PATIENCE):
    """Waits until `signal` is seen high, at most `limit` cycles."""
    for _ in range(limit):
        yield
        if (yield signal):
            return
    raise AssertionError("the signal never rose")


def both(*generators):
    """Runs generators side by side, until all have ended."""
    left = list(generators)
    while left:
        for generator in list(left):
            if (yield from cycle(generator)):
                left.remove(generator)
        if left:
            yield


def cycle(generator):
    """Runs a generator up to its next cycle; returns whether it has ended."""
    reply = None
    while True:
        try:
            request = generator.send(reply)
        except StopIteration:
            return True
        if request is None:
            return False
        reply = yield request
