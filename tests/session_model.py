"""A search over all interleavings of the protocol of sessions: two hosts, a device, a network.

The device is `Twin`, with which the gateware is compared. A host follows `FrameLink`: it opens a
session, writes words to registers in a window, repeats what is not answered, opens a new session
where that is harmless, and closes. The network loses, doubles, delays and reorders frames. The
device may be reset, and a lease may expire at any time. Each of these happens a few times at most.

Assumed of the network (`lifetime`): no frame is delayed for longer than a lease, or than a reset
takes; and a frame is lost when the device has forgotten that its session has ended, because a later
one has ended, too.
"""

import dataclasses
from collections import deque
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np

from dscim.arrays import Words
from dscim.gateware.link.protocol import TAKE_OVER, Kind, Reason
from dscim.host.golden.twin.link import Twin
from dscim.host.link.base import LinkStatistics
from dscim.host.link.frames import Frame

REGISTERS = range(0, 64)
WINDOW = 2


class Violation(AssertionError):
    """An invariant does not hold; the text has the steps that lead there."""


class Host(NamedTuple):
    """A host. Its words are written to addresses of their own, so that a word names its host.

    phase: new, opening, open, closing, done, or failed (an error was reported). take_over: of its
    first OPEN. tries: session numbers drawn, all different, the last of them current. opened: the
    number, boot and count of sessions of its first session. base: words that were acknowledged
    before the current session began. next: the next sequence number. flying: those in flight.
    acked: words acknowledged. certain: no frame of the transfer was sent twice. resumes: tries at
    the start of the handshake.
    """

    take_over: bool
    phase: str = "new"
    tries: int = 0
    opened: tuple[int, int] = (0, 0)
    base: int = 0
    next: int = 0
    flying: frozenset[int] = frozenset()
    acked: int = 0
    certain: bool = True
    begun: int = 0


class Device(NamedTuple):
    """The state of the twin, with what the invariants need.

    dead: sessions that their host has lost: it closed them, or another host opened one after this
    host had begun to use its own. After an expiry or a reset alone, and for a host that still waits
    for OPENED, a repeated OPEN opens the same session again.
    done: how often each word was written.
    """

    boot: int = 0
    session: int = 0
    ended: int = 0
    first: int = 0
    applied: frozenset[int] = frozenset()
    opened: int = 0
    dead: frozenset[int] = frozenset()
    done: tuple[tuple[int, ...], ...] = ()


class Packet(NamedTuple):
    """A frame under way. to: a host's number, or -1 for the device. old: sent before the lease was
    renewed last."""

    to: int
    raw: bytes
    old: bool = False


class State(NamedTuple):
    """A state of the whole system; left: how often each kind of fault may still happen."""

    device: Device
    hosts: tuple[Host, ...]
    net: tuple[Packet, ...]
    left: tuple[int, ...]


RESET, EXPIRE, DOUBLE, RESEND = range(4)


@dataclasses.dataclass(frozen=True)
class Model:
    """words: each host writes. tries: session numbers per host. packets: the most under way at a
    time. faults: resets, expiries, doubled frames, repeated frames. lifetime: see the module."""

    take_over: tuple[bool, ...] = (False, True)
    words: int = 2
    tries: int = 2
    packets: int = 3
    faults: tuple[int, int, int, int] = (1, 1, 1, 1)
    lifetime: bool = True

    def start(self) -> State:
        """The first state."""
        done = tuple((0,) * self.words for _ in self.take_over)
        return State(Device(done=done), tuple(map(Host, self.take_over)), (), self.faults)

    def explore(self) -> int:
        """Visits every state that can be reached, and returns their number; Violation if one
        breaks an invariant."""
        first = self.start()
        came: dict[State, tuple[State, str] | None] = {first: None}
        queue = deque([first])
        while queue:
            state = queue.popleft()
            try:
                for what, after in self.steps(state):
                    if after not in came:
                        came[after] = state, what
                        queue.append(after)
            except Violation as error:
                raise Violation(f"{error} after {'; '.join(_path(came, state))}") from None
        return len(came)

    def steps(self, state: State) -> Iterator[tuple[str, State]]:
        """Every step from a state."""
        for place, packet in enumerate(state.net):
            rest = state._replace(net=state.net[:place] + state.net[place + 1 :])
            yield "loss", rest
            if packet.to < 0:
                yield self._to_device(rest, packet)
            else:
                yield self._to_host(rest, packet)
            if state.left[DOUBLE] and len(state.net) < self.packets:
                yield "doubled", _sorted(_spend(state, DOUBLE)._replace(net=(*state.net, packet)))
        for number in range(len(state.hosts)):
            yield from self._acts(state, number)
        if state.left[RESET]:
            yield "reset", self._reset(state)
        if state.left[EXPIRE] and state.device.session:
            yield "lease expires", self._expire(state)

    def _acts(self, state: State, number: int) -> Iterator[tuple[str, State]]:
        """What a host may do by itself: begin, write, repeat, close."""
        host, name = state.hosts[number], f"host {number}"
        if len(state.net) >= self.packets:
            return
        if host.phase == "new":
            yield f"{name} opens", self._open(state, number, host.take_over)
        if host.phase == "opening" and state.left[RESEND]:
            yield f"{name} opens again", _sent(_spend(state, RESEND), self._opening(host, number))
        if host.phase != "open":
            return
        if host.base + host.next < self.words and len(host.flying) < WINDOW:
            frame = self._write(host, number, host.next)
            flying = host.flying | {host.next}
            after = host._replace(next=host.next + 1, flying=flying)
            yield f"{name} writes", _sent(_with(state, number, after), frame)
        for sequence in sorted(host.flying)[:1] if state.left[RESEND] else ():
            after = _with(_spend(state, RESEND), number, host._replace(certain=False))
            yield f"{name} repeats", _sent(after, self._write(host, number, sequence))
        if host.acked == self.words:
            frame = Frame(Kind.CLOSE, 0, self._session(host, number), 0)
            closing = _with(state, number, host._replace(phase="done"))
            yield f"{name} closes", _sent(closing, frame)

    def _session(self, host: Host, number: int) -> int:
        return 16 * (number + 1) + host.tries

    def _opening(self, host: Host, number: int, take_over: bool | None = None) -> Frame:
        flag = host.take_over and host.begun == 0 if take_over is None else take_over
        return Frame(Kind.OPEN, 7, self._session(host, number), TAKE_OVER if flag else 0)

    def _write(self, host: Host, number: int, sequence: int) -> Frame:
        word = host.base + sequence
        data = np.array([word], np.uint32).tobytes()
        address = 4 * (number * self.words + word)
        return Frame(Kind.WRITE, sequence, self._session(host, number), address, data)

    def _open(self, state: State, number: int, take_over: bool) -> State:
        """A new session number, if there is one left; else the host reports an error."""
        host = state.hosts[number]
        if host.tries == self.tries:
            return _with(state, number, host._replace(phase="failed"))
        host = host._replace(phase="opening", tries=host.tries + 1)
        return _sent(_with(state, number, host), self._opening(host, number, take_over))

    def _to_device(self, state: State, packet: Packet) -> tuple[str, State]:
        """The twin takes a frame; its answer is sent to the host of the session."""
        device, frame = state.device, _decoded(packet.raw)
        owner = frame.session // 16 - 1
        written: list[int] = []
        twin = _twin(device, written)
        answer = twin.answer(packet.raw)
        if written and frame.session in device.dead:
            raise Violation(f"host {owner} writes word {written[0]} in a session that it has lost")
        if written and frame.session != device.session:
            raise Violation(f"host {owner} writes word {written[0]} without a session")
        using = frozenset(
            self._session(host, number)
            for number, host in enumerate(state.hosts)
            if host.phase == "open"
        )
        after = state._replace(device=_read(twin, device, written, self.words, using))
        if twin.open and frame.session == after.device.session:
            net = tuple(each._replace(old=True) for each in after.net)
            after = after._replace(net=net)
        after = self._forget(after)
        if answer and len(after.net) < self.packets:
            after = after._replace(net=(*after.net, Packet(owner, answer)))
        return f"device takes {Kind(frame.kind).name} of {owner}", _sorted(after)

    def _forget(self, state: State) -> State:
        """Frames to the device of sessions that it has forgotten are lost."""
        device = state.device
        gone = device.dead - {device.ended, device.session} if self.lifetime else frozenset()
        keep = (each for each in state.net if each.to >= 0 or _number(each) not in gone)
        return state._replace(net=tuple(keep))

    def _to_host(self, state: State, packet: Packet) -> tuple[str, State]:
        """A host takes an answer, as `Exchange` and `FrameLink` do."""
        number, frame = packet.to, _decoded(packet.raw)
        host = state.hosts[number]
        what = f"host {number} takes {Kind(frame.kind).name}"
        if frame.session != self._session(host, number):
            return what, _sorted(state)
        if host.phase == "opening":
            return what, _sorted(self._handshake(state, number, frame))
        if host.phase == "open" and frame.kind == Kind.WRITTEN:
            return what, _sorted(self._acknowledged(state, number, frame))
        if host.phase == "open" and frame.kind == Kind.REFUSED and frame.sequence in host.flying:
            return what, _sorted(self._refused(state, number, frame))
        return what, _sorted(state)

    def _handshake(self, state: State, number: int, frame: Frame) -> State:
        host = state.hosts[number]
        if frame.kind == Kind.REFUSED:
            if frame.words[0] == Reason.BUSY and host.begun:
                return _with(state, number, host._replace(phase="failed"))
            return self._open(state, number, host.take_over and not host.begun)
        if frame.kind != Kind.OPENED:
            return state
        boot, sessions = int(frame.words[0]), int(frame.words[4])
        if host.begun and (
            boot != host.opened[0] or sessions - host.opened[1] > host.tries - host.begun
        ):
            return _with(state, number, host._replace(phase="failed"))
        host = host._replace(
            phase="open",
            opened=(boot, sessions),
            begun=host.tries,
            base=host.acked,
            next=0,
            flying=frozenset(),
            certain=True,
        )
        return _with(state, number, host)

    def _acknowledged(self, state: State, number: int, frame: Frame) -> State:
        """The frame's own request is done, and all before `address`."""
        host = state.hosts[number]
        done = {each for each in host.flying if each == frame.sequence or each < frame.address}
        for sequence in sorted(done):
            word = host.base + sequence
            if not state.device.done[number][word]:
                raise Violation(f"word {word} of host {number} is acknowledged, but not written")
        flying = host.flying - done
        acked = host.base + (min(flying) if flying else host.next)
        return _with(state, number, host._replace(flying=flying, acked=max(host.acked, acked)))

    def _refused(self, state: State, number: int, frame: Frame) -> State:
        """A new session, if the refused frame is the first and nothing was sent twice."""
        host = state.hosts[number]
        answered = host.acked > host.base or len(host.flying) < host.next
        untouched = host.certain and not answered and frame.sequence == min(host.flying)
        if not untouched:
            return _with(state, number, host._replace(phase="failed"))
        return self._open(state, number, False)

    def _reset(self, state: State) -> State:
        device = state.device
        fresh = Device(dead=device.dead, done=device.done)
        net = tuple(each for each in state.net if not (self.lifetime and each.to < 0))
        return _sorted(_spend(state._replace(device=fresh, net=net), RESET))

    def _expire(self, state: State) -> State:
        device = state.device
        after = device._replace(session=0, ended=device.session)
        net = tuple(each for each in state.net if not (self.lifetime and each.old))
        spent = _spend(state._replace(device=after, net=net), EXPIRE)
        return _sorted(self._forget(spent))


class _Memory:
    """A Link that notes the addresses that are written."""

    statistics = LinkStatistics()

    def __init__(self, written: list[int]) -> None:
        self._written = written

    def write(self, address: int, words: Words) -> None:
        self._written.append(address // 4)

    def read(self, address: int, count: int) -> Words:
        return np.zeros(count, np.uint32)

    def close(self) -> None:
        pass


def _twin(device: Device, written: list[int]) -> Twin:
    """The twin in this state. Its clock stands still; leases expire as steps of their own."""
    twin = Twin(_Memory(written), [REGISTERS], window=WINDOW, lease=1 << 30)
    twin._boot, twin._session, twin._ended = device.boot, device.session, device.ended
    twin._first, twin._applied = device.first, set(device.applied)
    twin.counters.sessions_opened = device.opened
    return twin


def _read(
    twin: Twin, before: Device, written: list[int], words: int, using: frozenset[int]
) -> Device:
    """The state of the twin after a frame. using: sessions that hosts use."""
    done = [list(each) for each in before.done]
    for address in written:
        done[address // words][address % words] += 1
    dead = before.dead
    if before.session and not twin._session:
        dead = dead | {before.session}
    if twin.counters.sessions_opened > before.opened:
        dead = dead | (using - {twin._session})
    return Device(
        twin._boot,
        twin._session,
        twin._ended,
        twin._first,
        frozenset(twin._applied),
        twin.counters.sessions_opened,
        dead,
        tuple(map(tuple, done)),
    )


@cache
def _decoded(raw: bytes) -> Frame:
    return Frame.decode(raw)


def _number(packet: Packet) -> int:
    return _decoded(packet.raw).session


def _sent(state: State, frame: Frame) -> State:
    return _sorted(state._replace(net=(*state.net, Packet(-1, frame.encode()))))


def _sorted(state: State) -> State:
    """The state with its packets in one order: the network may reorder them anyway."""
    return state._replace(net=tuple(sorted(state.net)))


def _spend(state: State, fault: int) -> State:
    left = (*state.left[:fault], state.left[fault] - 1, *state.left[fault + 1 :])
    return state._replace(left=left)


def _with(state: State, number: int, host: Host) -> State:
    hosts = (*state.hosts[:number], host, *state.hosts[number + 1 :])
    return state._replace(hosts=hosts)


def _path(came: dict[State, tuple[State, str] | None], state: State) -> list[str]:
    """The steps that lead to a state."""
    steps = []
    while (step := came[state]) is not None:
        state, what = step
        steps.append(what)
    return steps[::-1]
