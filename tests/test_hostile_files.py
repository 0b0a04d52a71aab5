"""Cut, corrupted and malicious files: a valid network or one sentence, in a short time."""

import dataclasses
import io
import json
import os
import resource
import struct
import time
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dscim.errors import UserError
from dscim.host.network import Network, load
from dscim.host.network.file import pack, zip_arrays
from dscim.host.network.importers import import_file
from tests import onnx_networks, tflite_networks
from tests.network_examples import network
from tests.tflite_files import TfliteFile

WHOLE = {
    ".npz": pack(network()),
    ".tflite": tflite_networks.residual().pack(),
    ".onnx": onnx_networks.separable().pack(),
}
SECONDS = 5
"""The limit for any damaged file; whole ones take a tenth of it."""


def reading(path):
    """The network, or the UserError's sentence, within limits on time and memory."""
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    try:
        result = load(path) if path.suffix == ".npz" else import_file(path).network
        assert isinstance(result, Network)
    except UserError as error:
        result = str(error)
        assert "\n" not in result and len(result) < 1500
    assert time.monotonic() - start < SECONDS
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200_000, f"{grown} kB"
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile")


@pytest.mark.parametrize("suffix", WHOLE)
def test_the_whole_file_is_a_network(folder, suffix):
    path = folder / f"whole{suffix}"
    path.write_bytes(WHOLE[suffix])
    assert isinstance(reading(path), Network)


@pytest.mark.parametrize("suffix", WHOLE)
@settings(deadline=None, max_examples=80)
@given(st.data())
def test_cut_at_any_byte(folder, suffix, data):
    whole, path = WHOLE[suffix], folder / f"cut{suffix}"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    result = reading(path)
    assert suffix != ".npz" or isinstance(result, str)


@pytest.mark.parametrize("suffix", WHOLE)
@settings(deadline=None, max_examples=120)
@given(st.data())
def test_any_bytes_changed(folder, suffix, data):
    """In one to four places: a flipped bit, an extreme byte or four extreme bytes."""
    changed, path = bytearray(WHOLE[suffix]), folder / f"changed{suffix}"
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(changed) - 4))
        match data.draw(st.sampled_from(["bit", "byte", "word"])):
            case "bit":
                changed[place] ^= 1 << data.draw(st.integers(0, 7))
            case "byte":
                changed[place] = data.draw(st.integers(0, 255))
            case "word":
                value = data.draw(st.sampled_from([0, 1, 2**31 - 1, 2**31, 2**32 - 1, 65536]))
                changed[place : place + 4] = struct.pack("<I", value)
    path.write_bytes(changed)
    reading(path)


@pytest.mark.parametrize("suffix", WHOLE)
@settings(deadline=None, max_examples=30)
@given(st.binary(max_size=300))
def test_noise(folder, suffix, noise):
    path = folder / f"noise{suffix}"
    path.write_bytes(noise)
    assert isinstance(reading(path), str)


VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=5)
    ),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=8,
)


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_any_field_of_a_header(folder, data):
    """Any value anywhere in a network file's header."""
    arrays = dict(np.load(io.BytesIO(WHOLE[".npz"])))
    header = json.loads(arrays["header"].tobytes())
    place = data.draw(st.sampled_from([header, *header["nodes"], header["arithmetic"]]))
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(VALUES)
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    path = folder / "header.npz"
    path.write_bytes(zip_arrays(arrays))
    result = reading(path)
    if isinstance(result, Network):
        assert all(side >= 1 for shape in result.shapes().values() for side in shape)


def npy(shape, dtype="|i1", data=b""):
    """A .npy with any header."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


@pytest.mark.parametrize(
    "member",
    [
        npy("(2147483648, 2147483648)"),
        npy("(1099511627776,)"),
        npy("(-1,)"),
        npy("(4,)", "|O"),
        npy("(3,)", data=b"1234"),
        npy("'x'"),
        b"",
        b"\x93NUMPY\x07\x00",
    ],
)
def test_damaged_arrays(folder, member):
    path, packed = folder / "array.npz", io.BytesIO(WHOLE[".npz"])
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("0.bias2.npy", member)
    path.write_bytes(packed.getvalue())
    assert "damaged" in reading(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_a_zip_bomb(folder, method):
    """48 MB of zeros in 48 kB."""
    path = folder / "bomb.npz"
    with zipfile.ZipFile(path, "w", method) as archive, archive.open("header.npy", "w") as member:
        member.write(npy(f"({48 << 20},)"))
        for _ in range(48):
            member.write(bytes(1 << 20))
    assert path.stat().st_size < 1 << 20
    assert "unpack to" in reading(path)


def test_a_header_of_brackets(folder):
    path = folder / "deep.npz"
    for text in (
        "[" * 200_000,
        '{"format": "dscim network", "version": 1, "nodes": ' + "[" * 900 + "]" * 900 + "}",
    ):
        path.write_bytes(zip_arrays({"header": np.frombuffer(text.encode(), np.uint8)}))
        assert "damaged" in reading(path)


@pytest.mark.parametrize(
    "shape",
    [(1, 2**31 - 1, 2**31 - 1, 3), (1, -5, 8, 3), (1, 0, 8, 3), (2**31 - 1, 8, 8, 3), (1,) * 9, ()],
)
def test_tflite_shapes(folder, shape):
    """A RELU on a tensor that is too large, empty, or not an image; scalars are read."""
    file = TfliteFile()
    ends = [file.tensor(shape, scale=0.5, zero=0) for _ in range(2)]
    file.operator("RELU", ends[:1], ends[1:])
    path = folder / "shape.tflite"
    path.write_bytes(file.pack(ends[:1], ends[1:]))
    assert isinstance(reading(path), str) or shape in ((2**31 - 1, 8, 8, 3), ())


@pytest.mark.parametrize("scale", [0.0, -1.0, np.inf, np.nan, 1e-44, 1e38])
@pytest.mark.parametrize("zero", [0, 300, -(2**40)])
def test_tflite_scales(folder, scale, zero):
    chain = tflite_networks.Chain(0, (1, 4, 4, 2)).conv(3).mean().dense(2)
    path = folder / "scale.tflite"
    for index, tensor in enumerate(chain.file.tensors):
        if tensor[2] is not None and tensor[1] == "INT8":
            wrong = (*tensor[:2], np.full(np.size(tensor[2]), scale), zero, *tensor[4:])
            chain.file.tensors[index] = wrong
            path.write_bytes(chain.pack())
            chain.file.tensors[index] = tensor
            reading(path)


@pytest.mark.parametrize("dims", [[2**31, 2**31], [2**62], [-1], [2**31 - 1, 1, 1, 1]])
def test_onnx_constants_without_values(folder, dims):
    model = onnx_networks.onnx.ModelProto.FromString(WHOLE[".onnx"])
    for tensor in model.graph.initializer:
        if len(tensor.dims) == 4:
            tensor.dims[:] = dims
    path = folder / "dims.onnx"
    path.write_bytes(model.SerializeToString())
    assert "damaged" in reading(path)


def test_empty_missing_and_huge_files(folder):
    empty = folder / "empty.tflite"
    empty.touch()
    assert isinstance(reading(empty), str)
    for path in (folder, folder / "none.onnx", folder / "none.txt"):
        assert "cannot be" in reading(path)
    large = folder / "large.tflite"
    with large.open("wb") as file:
        os.truncate(file.fileno(), 1 << 40)
    assert "more than" in reading(large)
    large.unlink()


def test_an_intact_network_is_read(folder):
    made = dataclasses.replace(network(), name="other")
    path = folder / "fine.npz"
    path.write_bytes(pack(made))
    assert pack(load(path)) == pack(made)


def test_a_dimension_that_no_memory_holds(folder):
    """It is refused before a PAD makes a place for each of its values."""
    file = TfliteFile()
    ends = [file.tensor((1, 2**31 - 1, 8, 3), scale=0.5, zero=0) for _ in range(2)]
    sides = file.constant([[0, 0], [0, 1], [0, 0], [0, 1]], "INT32")
    file.operator("PAD", [ends[0], sides], ends[1:], "PadOptions")
    path = folder / "pad.tflite"
    path.write_bytes(file.pack(ends[:1], ends[1:]))
    assert "the limit of a dimension is 1048576" in reading(path)
