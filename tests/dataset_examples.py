"""Small data sets as files, in the layouts of the real ones."""

import gzip
import pickle

import numpy as np


def idx_bytes(array):
    """The bytes of an IDX file."""
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def write_idx(folder, train=30, test=20):
    """Four IDX files of 28 x 28 images; those of the images are compressed."""
    generator = np.random.default_rng(6)
    for part, count in (("train", train), ("t10k", test)):
        pixels = generator.integers(0, 256, (count, 28, 28), np.uint8)
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(pixels)))
        labels = generator.integers(0, 10, count, np.uint8)
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))


def write_cifar(folder, count=4):
    """Six batches of CIFAR-10's python layout; returns the images of the first, N x 3072."""
    generator, first = np.random.default_rng(7), None
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        data = generator.integers(0, 256, (count, 3072), np.uint8)
        labels = [int(label) for label in generator.integers(0, 10, count)]
        (folder / name).write_bytes(pickle.dumps({b"data": data, b"labels": labels}, protocol=2))
        first = data if first is None else first
    return first
