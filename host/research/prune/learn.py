"""Training of a space's PruningNet, and of a structure from scratch."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from dscim.errors import UserError
from dscim.host.network.datasets.pixels import Input
from dscim.host.research.prune.generated import Generator, PruningNet, Shared
from dscim.host.research.prune.plain import PlainNet
from dscim.host.research.prune.recalibrate import accuracy
from dscim.host.research.prune.space import RATIOS, Space, Structure
from dscim.host.research.training import together
from dscim.host.research.training.checkpoint import restore
from dscim.host.research.training.images import Split
from dscim.host.research.training.inputs import real
from dscim.host.research.training.loop import SILENT, Callbacks, Training, fit, sgd
from dscim.host.research.training.recipe import Recipe

SOURCES: dict[str, type[nn.Module]] = {"generated": Generator, "shared": Shared}
"""Where the weights of a PruningNet come from; "shared" is the baseline."""


def pruning_net(
    where: Space,
    source: str,
    parts: Split,
    recipe: Recipe,
    pixels: Input,
    checkpoint: Path,
    callbacks: Callbacks = SILENT,
    readers: int = 0,
) -> PruningNet:
    """Trains the PruningNet, or resumes: a random structure for every batch."""
    torch.manual_seed(recipe.seed)
    net = PruningNet(where, SOURCES[source]).to(together.device())
    called = together.spread(net)
    criterion = nn.CrossEntropyLoss(label_smoothing=recipe.smoothing)

    def loss(images: Tensor, labels: Tensor, rng: np.random.Generator) -> Tensor:
        structure = tuple(int(gene) for gene in rng.integers(0, RATIOS, where.genes))
        value: Tensor = criterion(called(real(pixels, images), structure), labels)
        return value

    facts = {"space": where.name, "source": source, "input": asdict(pixels)}
    training = Training(
        net, sgd(net, recipe), loss, parts.images, parts.labels, facts=facts, readers=readers
    )
    fit(training, recipe, checkpoint, callbacks)
    return net


def load_pruning_net(where: Space, checkpoint: Path) -> tuple[PruningNet, Input]:
    """A trained PruningNet, ready to evaluate, and its input; UserError for another space's."""
    state = restore(checkpoint)
    facts = state.get("facts", {})
    if facts.get("space") != where.name or facts.get("source") not in SOURCES:
        raise UserError(
            f"'{checkpoint}' is not a PruningNet of {where.name}, but of {facts}; train "
            f"one with `dscim prune train --space {where.name}`."
        )
    net = PruningNet(where, SOURCES[facts["source"]])
    net.load_state_dict(state["model"])
    return net.eval(), Input(**facts["input"])


def from_scratch(
    where: Space,
    structure: Structure,
    data: Split,
    recipe: Recipe,
    pixels: Input,
    checkpoint: Path,
    callbacks: Callbacks = SILENT,
    readers: int = 0,
) -> tuple[PlainNet, float]:
    """Trains the plain network of a structure, or resumes; the network and its accuracy, 0 to 1.

    data: the training images, and as the held-out ones those that measure the accuracy.
    """
    torch.manual_seed(recipe.seed)
    net = PlainNet(where, structure).to(together.device())
    called = together.spread(net)
    criterion = nn.CrossEntropyLoss(label_smoothing=recipe.smoothing)

    def loss(images: Tensor, labels: Tensor, rng: np.random.Generator) -> Tensor:
        value: Tensor = criterion(called(real(pixels, images)), labels)
        return value

    facts = {"space": where.name, "structure": list(structure), "input": asdict(pixels)}
    training = Training(
        net, sgd(net, recipe), loss, data.images, data.labels, facts=facts, readers=readers
    )
    fit(training, recipe, checkpoint, callbacks)
    return net, accuracy(net, pixels, data.held_images, data.held_labels)
