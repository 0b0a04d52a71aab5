"""Ethernet, ARP, IP, ICMP and UDP in plain Python: makes and checks what is on the line."""

import struct
import zlib
from collections.abc import Sequence

DEVICE, HOST = bytes.fromhex("10e2d5000001"), bytes.fromhex("020000000001")
DEVICE_IP, HOST_IP = bytes((192, 168, 1, 50)), bytes((192, 168, 1, 100))
PREAMBLE = b"\x55" * 7 + b"\xd5"
IPV4, ARP = 0x0800, 0x0806
ICMP, UDP = 1, 17


def line(frame: bytes, flip: int | None = None) -> bytes:
    """The bytes on the line for a frame without padding and FCS; flip: a bit of the frame that is
    flipped after the FCS was made."""
    frame = frame.ljust(60, b"\0")
    frame += zlib.crc32(frame).to_bytes(4, "little")
    if flip is not None:
        frame = (
            frame[: flip // 8] + bytes([frame[flip // 8] ^ 1 << flip % 8]) + frame[flip // 8 + 1 :]
        )
    return PREAMBLE + frame


def frame_of(text: bytes) -> bytes:
    """The frame in the bytes of the line, with its FCS checked and removed."""
    assert text[:8] == PREAMBLE
    assert len(text) >= 72
    assert zlib.crc32(text[8:-4]) == int.from_bytes(text[-4:], "little")
    return text[8:-4]


def ethernet(kind: int, body: bytes, target: bytes = DEVICE) -> bytes:
    return target + HOST + kind.to_bytes(2, "big") + body


def checksum(text: bytes) -> int:
    """The checksum of IP and ICMP: 0 over a text with its checksum."""
    total = sum(struct.unpack(f">{len(text) // 2}H", text[: len(text) // 2 * 2]))
    total += text[-1] << 8 if len(text) % 2 else 0
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def ip(protocol: int, body: bytes, source: bytes = HOST_IP, target: bytes = DEVICE_IP) -> bytes:
    length = 20 + len(body)
    head = struct.pack(">BBHHHBBH", 0x45, 0, length, 0, 0, 64, protocol, 0) + source + target
    return head[:10] + checksum(head).to_bytes(2, "big") + head[12:] + body


def record(
    written: Sequence[int] = (),
    read: Sequence[int] = (),
    base: int = 0,
    *,
    wcount: int | None = None,
    rcount: int | None = None,
    word: int = 0x4E6F_1044,
) -> bytes:
    """An Etherbone datagram: words written from byte address `base` on, or addresses to read,
    answered with `base`. wcount, rcount, word (the first): wrong values for its fields."""
    wcount = len(written) if wcount is None else wcount
    rcount = len(read) if rcount is None else rcount
    words = [word, 0, 0xF << 16 | wcount << 8 | rcount]
    words += [base, *written] if written else []
    words += [base, *read] if read else []
    return struct.pack(f">{len(words)}I", *words)


PROBE = struct.pack(">III", 0x4E6F_1144, 0, 0)


def udp(
    port: int, body: bytes, host: int = 5000, length: int | None = None, **addresses: bytes
) -> bytes:
    """A frame with a datagram for the device; length: a wrong value for its header."""
    length = 8 + len(body) if length is None else length
    head = struct.pack(">HHHH", host, port, length, 0)
    return ethernet(IPV4, ip(UDP, head + body, **addresses))


def arp_request() -> bytes:
    return ethernet(
        ARP,
        struct.pack(">HHBBH", 1, IPV4, 6, 4, 1) + HOST + HOST_IP + bytes(6) + DEVICE_IP,
        target=b"\xff" * 6,
    )


def arp_reply(ip_address: bytes = HOST_IP) -> bytes:
    return ethernet(
        ARP, struct.pack(">HHBBH", 1, IPV4, 6, 4, 2) + HOST + ip_address + DEVICE + DEVICE_IP
    )


def echo_request(body: bytes) -> bytes:
    text = struct.pack(">BBHHH", 8, 0, 0, 7, 1) + body
    return ethernet(IPV4, ip(ICMP, text[:2] + checksum(text).to_bytes(2, "big") + text[4:]))


def packet_of(frame: bytes) -> tuple[int, bytes]:
    """Protocol and body of an IP frame from the device; checks everything."""
    assert frame[:14] == HOST + DEVICE + IPV4.to_bytes(2, "big")
    head, length = frame[14:34], int.from_bytes(frame[16:18], "big")
    assert head[0] == 0x45
    assert checksum(head) == 0
    assert head[12:16] == DEVICE_IP
    assert len(frame) == max(60, 14 + length)
    return head[9], frame[34 : 14 + length]


def datagram_of(frame: bytes) -> tuple[int, int, bytes]:
    """(from port, to port, body) of a UDP frame; checks everything."""
    protocol, body = packet_of(frame)
    assert protocol == UDP
    source, target, length, _ = struct.unpack(">HHHH", body[:8])
    assert length == len(body)
    return source, target, body[8:]
