"""Data sets from files: read as they are, and refused in one sentence when damaged."""

import gzip
import pickle

import numpy as np
import pytest

from dscim.host import datasets
from dscim.host.errors import UserError
from tests.dataset_examples import idx_bytes, write_cifar, write_idx

LABELS = "t10k-labels-idx1-ubyte"


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_idx_plain_and_compressed(tmp_path, name):
    write_idx(tmp_path)
    data = datasets.load(name, tmp_path)
    assert data.train_images.shape == (30, 28, 28, 1) and data.test_labels.shape == (20,)
    raw = gzip.decompress((tmp_path / "train-images-idx3-ubyte.gz").read_bytes())
    assert data.train_images.tobytes() == raw[16:]
    assert data.shape == (28, 28, 1) and len(data.classes) == 10


@pytest.mark.parametrize(("content", "message"), [
    (None, f"there is no {LABELS} or {LABELS}.gz in"),
    (b"", "is not an IDX file"),
    (idx_bytes(np.zeros(20, np.uint8))[:-1], "holds 19 bytes where its header says"),
    (idx_bytes(np.zeros(20, np.uint8))[:6], "ends within its header"),
    (bytes([0, 0, 8, 3]) + b"\xff" * 12, "holds 0 bytes where its header says"),
    (idx_bytes(np.zeros(19, np.uint8)), "take Fashion-MNIST's own four IDX files"),
    (idx_bytes(np.full(20, 11, np.uint8)), "labels 11..11, but its 10 classes are 0..9"),
    (gzip.compress(idx_bytes(np.zeros(20, np.uint8)))[:-9], "cannot be read as an IDX file"),
])
def test_damaged_idx_is_refused(tmp_path, content, message):
    write_idx(tmp_path)
    (tmp_path / LABELS).unlink()
    if content is not None:
        (tmp_path / LABELS).write_bytes(content)
    with pytest.raises(UserError, match=message):
        datasets.load("fashion-mnist", tmp_path)


def test_cifar_is_read_as_it_is(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    first = write_cifar(folder)
    data = datasets.load("cifar10", tmp_path)
    assert data.name == "CIFAR-10" and data.shape == (32, 32, 3)
    assert data.train_images.shape == (20, 32, 32, 3) and data.test_images.shape == (4, 32, 32, 3)
    red, green, blue = first[2].reshape(3, 32, 32)
    assert np.array_equal(data.train_images[2], np.stack([red, green, blue], -1))
    (folder / "NAME").write_text("CIFAR-10 (JPEG)\n")
    assert datasets.load("cifar10", folder).name == "CIFAR-10 (JPEG)"


class Hostile:
    """A pickle of it calls a function when it is read."""

    def __reduce__(self):
        return print, ("never",)


@pytest.mark.parametrize(("content", "message"), [
    (None, "CIFAR-10's six batches"),
    (b"", "no batch of CIFAR-10, or damaged"),
    (pickle.dumps([1, 2]), "no batch of CIFAR-10, or damaged"),
    (pickle.dumps(Hostile()), "asks for builtins.print"),
    (pickle.dumps({b"data": np.zeros((4, 3000), np.uint8), b"labels": [0] * 4}), "not uint8"),
    (pickle.dumps({b"data": np.zeros((4, 3072), np.uint8), b"labels": [0] * 3}), "3 labels"),
    (pickle.dumps({b"data": np.zeros((4, 3072)), b"labels": [0] * 4}), "holds float64"),
])
def test_damaged_cifar_is_refused(tmp_path, capsys, content, message):
    write_cifar(tmp_path)
    path = tmp_path / "data_batch_3"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        datasets.load("cifar10", tmp_path)
    assert "never" not in capsys.readouterr().out


def test_a_cut_batch_is_refused_at_any_byte(tmp_path):
    write_cifar(tmp_path, 1)
    whole = (tmp_path / "test_batch").read_bytes()
    for cut in range(0, len(whole), 97):
        (tmp_path / "test_batch").write_bytes(whole[:cut])
        with pytest.raises(UserError):
            datasets.load("cifar10", tmp_path)


@pytest.mark.parametrize("name", ["cifar10", "mnist"])
def test_missing_data_say_where_to_get_them(tmp_path, monkeypatch, name):
    monkeypatch.setenv("DSCIM_DATA", str(tmp_path))
    with pytest.raises(UserError, match=rf"in '{tmp_path}'.*--data or DSCIM_DATA"):
        datasets.load(name)
    monkeypatch.delenv("DSCIM_DATA")
    with pytest.raises(UserError, match=r"in any folder.*--data or DSCIM_DATA"):
        datasets.load(name)


def test_data_are_found_by_the_environment(tmp_path, monkeypatch):
    write_cifar(tmp_path)
    monkeypatch.setenv("DSCIM_DATA", str(tmp_path))
    assert len(datasets.load("cifar10").test_labels) == 4


def test_an_unknown_name_is_refused():
    with pytest.raises(UserError, match="choose cifar10, fashion-mnist"):
        datasets.load("svhn")
