"""Data sets from files: read exactly, and rejected in one sentence when damaged."""

import dataclasses
import gzip
import pickle
import shutil

import numpy as np
import pytest

from dscim.errors import UserError
from dscim.host.cli import main
from dscim.host.network import datasets, save
from dscim.host.network.datasets.pixels import IMAGENET_SCALING, Input
from dscim.host.network.shipped import EXACT, shipped_network
from tests.dataset_examples import idx_bytes, write_cifar, write_idx
from tests.small_network import small_network

LABELS = "t10k-labels-idx1-ubyte"


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_idx_plain_and_compressed(tmp_path, name):
    write_idx(tmp_path)
    data = datasets.load(name, tmp_path)
    assert data.train_images.shape == (30, 28, 28, 1) and data.test_labels.shape == (20,)
    raw = gzip.decompress((tmp_path / "train-images-idx3-ubyte.gz").read_bytes())
    assert data.train_images.tobytes() == raw[16:]
    assert data.shape == (28, 28, 1) and len(data.classes) == 10


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, f"there is no {LABELS} or {LABELS}.gz in"),
        (b"", "is not an IDX file"),
        (idx_bytes(np.zeros(20, np.uint8))[:-1], "holds 19 bytes where its header says"),
        (idx_bytes(np.zeros(20, np.uint8))[:6], "ends within its header"),
        (bytes([0, 0, 8, 3]) + b"\xff" * 12, "holds 0 bytes where its header says"),
        (idx_bytes(np.zeros(19, np.uint8)), "use the original four IDX files of Fashion-MNIST"),
        (idx_bytes(np.full(20, 11, np.uint8)), "labels 11..11, but its 10 classes are 0..9"),
        (
            gzip.compress(idx_bytes(np.zeros(20, np.uint8)), mtime=0)[:-9],
            "cannot be read as an IDX file",
        ),
    ],
)
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
    """A pickle of it calls a function when read."""

    def __reduce__(self):
        return print, ("never",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "all six batches of CIFAR-10"),
        (b"", "not a batch of CIFAR-10, or it is damaged"),
        (pickle.dumps([1, 2]), "not a batch of CIFAR-10, or it is damaged"),
        (pickle.dumps(Hostile()), "uses builtins.print"),
        (pickle.dumps({b"data": np.zeros((4, 3000), np.uint8), b"labels": [0] * 4}), "not uint8"),
        (pickle.dumps({b"data": np.zeros((4, 3072), np.uint8), b"labels": [0] * 3}), "3 labels"),
        (pickle.dumps({b"data": np.zeros((4, 3072)), b"labels": [0] * 4}), "holds float64"),
    ],
)
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


@pytest.fixture
def pictures(tmp_path):
    """Two classes of images, in sizes that must be scaled."""
    image = pytest.importorskip("PIL.Image", reason="Pillow is missing: pip install dscim[images]")
    for part, count in (("train", 3), ("test", 2)):
        for name, colour in (("red", (255, 0, 0)), ("blue", (0, 0, 255))):
            place = tmp_path / part / name
            place.mkdir(parents=True)
            for index in range(count):
                image.new("RGB", (40 + index, 30), colour).save(place / f"{index}.png")
    return tmp_path


def test_an_image_folder(pictures):
    data = datasets.load("folder", pictures, (16, 24, 3))
    assert data.classes == ("blue", "red") and data.shape == (16, 24, 3)
    assert data.train_labels.tolist() == [0, 0, 0, 1, 1, 1] and len(data.test_labels) == 4
    assert (data.test_images[0] == (0, 0, 255)).all()
    grey = datasets.load("folder", pictures, (16, 24, 1))
    assert grey.shape == (16, 24, 1) and (grey.train_images[-1] == 76).all()
    alone = datasets.load("folder", pictures / "test", (8, 8, 3))
    assert len(alone.train_labels) == 0 and alone.test_labels.tolist() == [0, 0, 1, 1]


def test_files_named_by_their_class(pictures):
    (pictures / "test" / "red" / "0.png").rename(pictures / "3_cat.png")
    for folder in ("train", "test"):
        shutil.rmtree(pictures / folder)
    data = datasets.load("folder", pictures, (8, 8, 3))
    assert data.test_labels.tolist() == [3] and len(data.classes) == 4
    (pictures / "3_cat.png").rename(pictures / "cat.png")
    with pytest.raises(UserError, match="does not begin with a class number"):
        datasets.load("folder", pictures, (8, 8, 3))


def test_a_damaged_image_is_named(pictures):
    path = pictures / "test" / "red" / "1.png"
    for content in (b"", path.read_bytes()[:-40], b"no image"):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"1\.png' is not an image that can be read"):
            datasets.load("folder", pictures, (8, 8, 3))


def test_a_folder_without_images_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UserError, match=r"holds no images|no folder of images"):
            datasets.load("folder", folder, (8, 8, 3))


def test_pixels_become_a_networks_integers():
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    assert np.array_equal(Input().integers(images).view(np.uint8) ^ 128, images)
    given = Input.spanning(*IMAGENET_SCALING)
    table = given.table(3)
    assert table.min() == -128 and table.max() == 127
    for channel, (mean, std) in enumerate(zip(*IMAGENET_SCALING, strict=True)):
        real = (np.arange(256) / 255 - mean) / std
        assert (
            abs((table[channel].astype(int) - given.zero) * given.scale - real).max()
            < 0.51 * given.scale
        )
    with pytest.raises(UserError, match="3 means and 3 deviations do not fit images of 1"):
        given.integers(images)


def test_the_input_scaling_is_known_or_an_error():
    network = shipped_network(EXACT)
    assert Input.of(network) == Input()
    pixels = dataclasses.replace(network, scale=1.0)
    assert np.array_equal(Input.of(pixels).table(1), Input().table(1))
    with pytest.raises(UserError, match="give --mean and --std"):
        Input.of(dataclasses.replace(network, scale=0.02))


def test_a_data_set_as_a_networks_inputs(tmp_path, capsys):
    write_idx(tmp_path)
    save(shipped_network(EXACT), tmp_path / "net.npz")
    files = ["-o", str(tmp_path / "x.npy"), "--labels", str(tmp_path / "y.npy")]
    given = ["dataset", "fashion-mnist", "--data", str(tmp_path), "--network"]
    assert main([*given, str(tmp_path / "net.npz"), *files, "--limit", "7"]) == 0
    x, y = np.load(tmp_path / "x.npy"), np.load(tmp_path / "y.npy")
    data = datasets.load("fashion-mnist", tmp_path)
    assert np.array_equal(x, Input().integers(data.test_images[:7]))
    assert np.array_equal(y, data.test_labels[:7])
    save(small_network(), tmp_path / "other.npz")
    assert main([*given, str(tmp_path / "other.npz"), *files]) == 2
    assert "but the images of Fashion-MNIST are (28, 28, 1)" in capsys.readouterr().err
