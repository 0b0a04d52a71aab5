"""The link's frames in plain Python, written only from the text of the protocol."""

import struct
import zlib

OPEN, WRITE, READ, CLOSE = 1, 2, 3, 4
OPENED, WRITTEN, DATA, CLOSED, REFUSED = 0x81, 0x82, 0x83, 0x84, 0xFF
BUSY, SESSION, ADDRESS, KIND, LOCKED = 1, 2, 3, 4, 5
WINDOW = 32


def body(kind, sequence, session, address, words=(), count=None):
    """A frame's bytes without its CRC. count: if it differs from the number of words."""
    count = len(words) if count is None else count
    return struct.pack(
        f"<BBHII{len(words)}I", kind, count, sequence & 0xFFFF, session, address, *words
    )


def frame(*fields, **more):
    """A frame's bytes with its CRC."""
    text = body(*fields, **more)
    return text + zlib.crc32(text).to_bytes(4, "little")


def parse(text):
    """(kind, sequence, session, address, words) of an answer; asserts that it is valid."""
    assert zlib.crc32(text[:-4]) == int.from_bytes(text[-4:], "little")
    kind, count, sequence, session, address = struct.unpack("<BBHII", text[:12])
    assert len(text) == 16 + 4 * count
    return kind, sequence, session, address, struct.unpack(f"<{count}I", text[12:-4])


def cobs(text):
    """The COBS code of `text`; nothing follows a last block of 254 bytes."""
    code = block = b""
    for i, byte in enumerate(text):
        if byte:
            block += bytes([byte])
        if not byte or len(block) == 254:
            code, block = code + bytes([len(block) + 1]) + block, b""
            if byte and i == len(text) - 1:
                return code
    return code + bytes([len(block) + 1]) + block


def decode(code):
    """The text of a COBS code; None if the code is broken."""
    text = b""
    while code:
        block, code = code[: code[0]], code[code[0] :]
        if len(block) < block[0]:
            return None
        text += block[1:] + (b"\0" if block[0] < 255 and code else b"")
    return text


def wire(*texts):
    """Frames as bytes on a UART."""
    return b"".join(b"\0" + cobs(text) + b"\0" for text in texts)


def answers(stream):
    """The parsed frames in the bytes of a UART, which contain nothing else."""
    return [parse(decode(code)) for code in stream.split(b"\0") if code]
