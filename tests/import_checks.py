"""Imports files and compares them with their runtimes, in this process: fast, for many files."""

import tempfile
from pathlib import Path

import numpy as np

from dscim.host.network import Evaluator, load, save
from dscim.host.network.importers import import_file
from dscim.host.network.importers.child import job
from dscim.host.network.importers.runtimes import RUNTIMES


def imported(data, suffix=".tflite"):
    """The import of a file with these bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"file{suffix}"
        path.write_bytes(data)
        return import_file(path)


def differences(data, count=3, seed=0, suffix=".tflite"):
    """{node: (differing outputs, greatest difference)} of every node, and of "end to end".

    Every node takes the runtime's inputs. The network is that of the written file.
    """
    made = imported(data, suffix)
    with tempfile.TemporaryDirectory() as folder:
        save(made.network, Path(folder) / "n.npz")
        network = load(Path(folder) / "n.npz")
    images = np.random.default_rng(seed).integers(-128, 128, (count, *network.shape))
    images = images.astype(np.int8)
    evaluator, found, done = Evaluator(network), {}, 0
    for theirs in RUNTIMES[made.runtime](data, job(made), images):
        batch = len(next(iter(theirs.values())))
        ours = evaluator.nodes(images[done : done + batch])
        done += batch
        for node in network.nodes:
            out = evaluator.node(node, [theirs[name] for name in node.inputs])
            if node.name in theirs:
                _count(found, node.name, out, theirs[node.name])
            theirs.setdefault(node.name, out)
        last = network.nodes[-1].name
        _count(found, "end to end", ours[last], theirs[last])
    assert done == count
    return found


def _count(found, name, ours, theirs):
    off = np.abs(ours.astype(int) - theirs)
    before = found.get(name, (0, 0))
    found[name] = (before[0] + int((off > 0).sum()), max(before[1], int(off.max())))


def differing(data, **more):
    """The nodes of a file that differ, with by how much: {} if all bits agree."""
    return {name: each for name, each in differences(data, **more).items() if each[0]}
