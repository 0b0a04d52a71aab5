"""The network file: one .npz archive, version 1.

`header.npy` is UTF-8 JSON as uint8: {"format": "dscim network", "version": 1, "name", "shape",
"scale", "zero", "classes", "arithmetic" (the fields of ProductSpec), "provenance", "nodes"}.
Each node is an object: "kind" (a name in `dscim.host.network.nodes`) and the fields of that class,
less its arrays. The array `field` of node i is `i.field.npy`, for Conv: `i.weights` int8 OHWI,
`i.bias`, `i.multiplier`, `i.shift` int32.
Nothing is pickled. Equal networks give equal bytes, so the file's SHA-256 names the network.
"""

import dataclasses
import hashlib
import io
import json
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dscim.gateware.specs import ProductSpec, SpecError
from dscim.host.errors import UserError
from dscim.host.network.network import Network
from dscim.host.network.node import Node
from dscim.host.network.nodes import KINDS

FORMAT = "dscim network"
VERSION = 1

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time stamp of every member: the earliest that a zip archive knows."""


def save(network: Network, path: Path) -> None:
    """Write the network file; it is written beside and renamed, so never half there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    try:
        beside.write_bytes(pack(network))
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def load(path: Path) -> Network:
    """Read and check a network file; UserError says in one sentence what is wrong."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"the network '{path}' cannot be read: {error.strerror}.") from error
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            arrays = {name.removesuffix(".npy"): _read(archive.read(name))
                      for name in archive.namelist()}
        header = json.loads(arrays["header"].tobytes())
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, EOFError, OSError,
            NotImplementedError, RuntimeError) as error:
        raise UserError(f"'{path}' is no network file, or damaged: {error}.") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise UserError(f"'{path}' is no network file: its header does not say {FORMAT!r}.")
    if header.get("version") != VERSION:
        raise UserError(f"'{path}' has version {header.get('version')} of the network format, "
                        f"but this program reads version {VERSION}: export it again.")
    try:
        return _network(header, arrays)
    except (SpecError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise UserError(f"'{path}' is a damaged network file: {error}") from error


def file_hash(path: Path) -> str:
    """SHA-256 of the file, in hex: it names the network."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def pack(network: Network) -> bytes:
    """The bytes of the network file."""
    header: dict[str, Any] = {
        "format": FORMAT, "version": VERSION, "name": network.name, "shape": network.shape,
        "scale": network.scale, "zero": network.zero, "classes": network.classes,
        "arithmetic": network.arithmetic.to_json(), "provenance": network.provenance, "nodes": [],
    }
    arrays: dict[str, npt.NDArray[Any]] = {}
    for index, node in enumerate(network.nodes):
        plain: dict[str, Any] = {"kind": type(node).__name__}
        for item in dataclasses.fields(node):
            value = getattr(node, item.name)
            if isinstance(value, np.ndarray):
                arrays[f"{index}.{item.name}"] = value
            else:
                plain[item.name] = value
        header["nodes"].append(plain)
    text = json.dumps(header, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return zip_arrays({"header": np.frombuffer(text.encode(), np.uint8), **arrays})


def zip_arrays(arrays: dict[str, npt.NDArray[Any]]) -> bytes:
    """The bytes of an .npz of `arrays` that depend on nothing else, as time stamps would."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", EPOCH)
            info.create_system = 3
            archive.writestr(info, member.getvalue(), zipfile.ZIP_DEFLATED, 9)
    return packed.getvalue()


def _read(raw: bytes) -> npt.NDArray[Any]:
    """One member of the archive as an array; ValueError when it is none."""
    array: npt.NDArray[Any] = np.lib.format.read_array(io.BytesIO(raw), allow_pickle=False)
    return array


def _network(header: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> Network:
    """The network that header and arrays describe."""
    nodes = [_node(index, plain, arrays) for index, plain in enumerate(header["nodes"])]
    return Network(
        str(header["name"]), _tuples(header["shape"]), float(header["scale"]),
        int(header["zero"]), tuple(nodes), _tuples(header["classes"]),
        ProductSpec.from_json(header["arithmetic"]), dict(header["provenance"]))


def _node(index: int, plain: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> Node:
    """Node `index`: the fields of its object, and its arrays."""
    if plain.get("kind") not in KINDS:
        raise SpecError(f"Node {index} is of the unknown kind {plain.get('kind')!r}; this "
                        f"program knows {', '.join(KINDS)}.")
    prefix = f"{index}."
    fields = {name: _tuples(value) for name, value in plain.items() if name != "kind"}
    fields |= {name.removeprefix(prefix): array for name, array in arrays.items()
               if name.startswith(prefix)}
    return KINDS[plain["kind"]](**fields)


def _tuples(value: Any) -> Any:
    """JSON's lists as tuples, at every depth."""
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
