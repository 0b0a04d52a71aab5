"""The network file: read as written, and rejected in one sentence when damaged."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dscim.errors import UserError
from dscim.gateware.specs import ProductSpec, SequenceSpec, SpecError
from dscim.host.network import Add, file_hash, load, save
from dscim.host.network.file import pack, zip_arrays
from tests.network_examples import network

SPECS = st.builds(
    ProductSpec,
    st.sampled_from([16, 64]),
    st.sampled_from([64, 128, 256]),
    st.sampled_from([SequenceSpec(), SequenceSpec("lfsr")]),
    st.sampled_from(["split", "offset"]),
    exact=st.booleans(),
)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**16), SPECS, st.integers(1, 5), st.integers(3, 8), st.integers(-128, 127))
def test_round_trip(tmp_path_factory, seed, spec, channels, side, zero):
    made = network(seed, spec, channels, side, zero)
    path = tmp_path_factory.mktemp("network") / "n.npz"
    save(made, path)
    read = load(path)
    assert pack(read) == path.read_bytes() == pack(made)
    assert (
        read.name,
        read.shape,
        read.scale,
        read.zero,
        read.classes,
        read.arithmetic,
        read.provenance,
    ) == (
        made.name,
        made.shape,
        made.scale,
        made.zero,
        made.classes,
        made.arithmetic,
        made.provenance,
    )
    for old, new in zip(made.nodes, read.nodes, strict=True):
        assert type(old) is type(new)
        for item in dataclasses.fields(old):
            a, b = getattr(old, item.name), getattr(new, item.name)
            assert np.array_equal(a, b) and type(a) is type(b)
            assert not isinstance(a, np.ndarray) or a.dtype == b.dtype


def test_equal_networks_have_equal_bytes_and_others_not(tmp_path):
    paths = [tmp_path / name for name in ("a.npz", "b.npz", "c.npz")]
    for path, seed in zip(paths, (1, 1, 2), strict=True):
        save(network(seed), path)
    hashes = [file_hash(path) for path in paths]
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_single_rounding_is_written_where_there_is_one(tmp_path):
    """A file without the field has the bytes that it had before the field existed, and is read."""
    path, made = tmp_path / "n.npz", network()
    save(made, path)
    assert b"single_rounding" not in np.load(path)["header"].tobytes()
    assert not load(path).nodes[0].single_rounding
    nodes = (dataclasses.replace(made.nodes[0], single_rounding=True), *made.nodes[1:])
    save(dataclasses.replace(made, nodes=nodes), path)
    assert load(path).nodes[0].single_rounding and not load(path).nodes[1].single_rounding
    header = json.loads(np.load(path)["header"].tobytes())
    header["nodes"][0]["single_rounding"] = 1
    path.write_bytes(zip_arrays(header_of(path, **header)))
    with pytest.raises(UserError, match="field single_rounding of 1, which is not bool"):
        load(path)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "n.npz"
    save(network(1), path)
    before = path.read_bytes()
    broken = dataclasses.replace(network(2), provenance={"not JSON": object()})
    with pytest.raises(TypeError):
        save(broken, path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["n.npz"]


def header_of(made, **changes):
    """The arrays of a network file with its header changed."""
    arrays = dict(np.load(made))
    header = json.loads(arrays["header"].tobytes()) | changes
    return arrays | {"header": np.frombuffer(json.dumps(header).encode(), np.uint8)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, "does not say 'dscim network'"),
        ({"version": 2}, "has version '2' of the network format, but this program reads version 1"),
        ({"nodes": []}, "has no nodes"),
        ({"nodes": [{"kind": "Gelu"}]}, "unknown kind 'Gelu'"),
        ({"shape": [6, 6, 2]}, "has weights for 3 channels, but its input has 2"),
        ({"zero": 5}, r"expects the zero points \(-128,\)"),
        ({"classes": ["one"]}, "1 class names do not fit"),
        ({"arithmetic": {"length": 100}}, "Stream length 100 is not allowed"),
        ({"provenance": 3}, "is a damaged network file"),
        ({"shape": None}, "header has the field shape of None, which is not tuple"),
        ({"shape": [6, 6]}, r"header has the field shape of \(6, 6\), which is not tuple"),
        ({"scale": float("inf")}, "header has the field scale of inf, which is not float"),
        ({"zero": 1 << 31}, "header has the field zero of 2147483648, which is not int"),
        ({"classes": [1]}, r"header has the field classes of \(1,\), which is not tuple\[str"),
        ({"nodes": [{"kind": "Conv", "name": "a"}]}, "Node 0 lacks the field inputs, output_zero"),
        ({"arithmetic": {"sequence": 4}}, "SequenceSpec needs a JSON object, not 4"),
        ({"arithmetic": {"length": True}}, "ProductSpec has the field length of True"),
    ],
)
def test_a_wrong_header_is_refused(tmp_path, changes, message):
    path = tmp_path / "n.npz"
    save(network(), path)
    path.write_bytes(zip_arrays(header_of(path, **changes)))
    with pytest.raises(UserError, match=message) as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_an_integer_is_read_as_the_float_that_a_field_declares(tmp_path):
    path = tmp_path / "n.npz"
    save(network(), path)
    path.write_bytes(zip_arrays(header_of(path, scale=2)))
    assert type(load(path).scale) is float and load(path).scale == 2


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("0.weights", np.zeros((4, 3, 3, 3), np.int16), "weights int16"),
        ("0.bias", np.zeros(3, np.int32), "bias int32 of shape"),
        ("1.multiplier", np.full(4, -1, np.int32), "multiplier below 0"),
        ("1.shift", np.full(4, 40, np.int32), "shift beyond 31"),
        ("4.unknown", np.zeros(1), "Node 4 has no field unknown; its fields are "),
    ],
)
def test_wrong_arrays_are_refused(tmp_path, name, array, message):
    path = tmp_path / "n.npz"
    save(network(), path)
    path.write_bytes(zip_arrays(dict(np.load(path)) | {name: array}))
    with pytest.raises(UserError, match=message):
        load(path)


def test_a_missing_array_is_refused(tmp_path):
    path = tmp_path / "n.npz"
    save(network(), path)
    arrays = dict(np.load(path))
    del arrays["0.weights"]
    path.write_bytes(zip_arrays(arrays))
    with pytest.raises(UserError, match="Node 0 lacks the field weights"):
        load(path)


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match="cannot be read: No such file"):
        load(tmp_path / "none.npz")


def test_any_damage_is_one_sentence(tmp_path):
    """A file cut anywhere, or with any byte changed, is rejected or has equal integers."""
    whole = pack(network())
    path, generator = tmp_path / "n.npz", np.random.default_rng(5)
    for cut in generator.integers(0, len(whole), 40):
        path.write_bytes(whole[:cut])
        with pytest.raises(UserError):
            load(path)
    for place in generator.integers(0, len(whole), 200):
        changed = bytearray(whole)
        changed[place] ^= 1 << int(generator.integers(8))
        path.write_bytes(changed)
        try:
            assert pack(load(path)) == whole
        except UserError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n: n[:1] + n[1:2] * 2 + n[2:], "name 'b' is empty or not unique"),
        (lambda n: n[1:], "reads 'a', which no earlier node has"),
        (
            lambda n: (*n[:2], dataclasses.replace(n[2], inputs=("a",)), *n[3:]),
            "has 1 inputs, not 2",
        ),
        (lambda n: (*n[:2], dataclasses.replace(n[2], clamp=(5, 4)), *n[3:]), "has the clamp"),
        (lambda n: (*n[:3], dataclasses.replace(n[3], kernel=(9, 9)), *n[4:]), "larger than its"),
        (
            lambda n: (
                *n,
                Add(
                    "x",
                    ("a", "pool"),
                    0,
                    1.0,
                    input_zeros=(-128, -128),
                    multipliers=(1, 1, 1),
                    shifts=(0, 0, 0),
                ),
            ),
            "adds tensors of the shapes",
        ),
    ],
)
def test_a_wrong_graph_is_refused(change, message):
    made = network()
    with pytest.raises(SpecError, match=message):
        dataclasses.replace(made, nodes=change(made.nodes))
