"""Arrays in an .npz archive: the same bytes for the same arrays, safe to read from any source.

The sizes of the members are checked before anything is unpacked, so a file of a few kilobytes
cannot expand to gigabytes.
"""

import io
import zipfile

import numpy as np

from dscim.arrays import Array
from dscim.gateware.specs.base import require

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time stamp of every member: the earliest in a zip archive."""

MAX_MEMBERS = 100_000
"""The limit on the arrays in an archive."""

MAX_BYTES = 1 << 29
"""The limit on the bytes that an archive unpacks to."""

SMALL, RATIO = 1 << 25, 32
"""An archive may unpack to SMALL bytes plus RATIO times its own size."""


def zip_arrays(arrays: dict[str, Array], compressed: bool = True) -> bytes:
    """The bytes of an .npz of `arrays`; they depend on nothing else, not even the time."""
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", EPOCH)
            info.create_system = 3
            archive.writestr(info, member.getvalue(), method, 9)
    return packed.getvalue()


def unzip_arrays(data: bytes) -> dict[str, Array]:
    """The arrays in the bytes of an .npz.

    SpecError if they unpack to implausibly many bytes, or use a compression other than deflate;
    other damage raises the errors of zipfile, zlib and numpy.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        total = sum(member.file_size for member in members)
        most = min(MAX_BYTES, SMALL + RATIO * len(data))
        require(
            len(members) <= MAX_MEMBERS and total <= most,
            f"Its {len(members)} members unpack to {total} bytes; the limits for an "
            f"archive of {len(data)} bytes are {MAX_MEMBERS} and {most}.",
        )
        require(
            all(
                member.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
                for member in members
            ),
            "It is compressed by a method other than deflate.",
        )
        return {
            member.filename.removesuffix(".npy"): read_array(archive.read(member))
            for member in members
        }


def read_array(raw: bytes) -> Array:
    """The array in the bytes of a .npy file; ValueError unless they are exactly one array."""
    file = io.BytesIO(raw)
    version = np.lib.format.read_magic(file)
    header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, fortran, dtype = header(file)
    count = int(np.prod(shape, dtype=object))
    start = file.tell()
    if dtype.hasobject or min(shape, default=1) < 0 or count * dtype.itemsize != len(raw) - start:
        raise ValueError(f"an array of {dtype} and shape {shape} is not {len(raw) - start} bytes")
    values: Array = np.frombuffer(raw, dtype, count, start).copy()
    return values.reshape(shape, order="F" if fortran else "C")
