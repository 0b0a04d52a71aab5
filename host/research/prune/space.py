"""A structure space: the declaration of a network and of the widths that may be pruned.

The plain network, the PruningNet, the costs and the encoding are all derived from it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from dscim.errors import UserError

RATIOS = 31
"""Ratio ids of a prunable width: 0..30, the ratio of id k is (10 + 3k)/100."""

FULL = RATIOS - 1
"""The ratio id of a width that is not pruned."""

Structure = tuple[int, ...]
"""A ratio id for each gene of a space: one point of it."""


def percent(ratio_id: int) -> int:
    """The ratio of an id in percent, 10..100."""
    return 10 + 3 * ratio_id


@dataclass(frozen=True)
class Width:
    """A number of channels: `base`, pruned by a gene or, if `gene` is None, fixed.

    Widths that meet at a shortcut are one Width, so they share a gene.
    """

    base: int
    gene: int | None = None

    def ratio_id(self, structure: Structure) -> int:
        """Its ratio id in a structure; FULL when it is fixed."""
        return FULL if self.gene is None else structure[self.gene]

    def channels(self, ratio_id: int) -> int:
        """int(base * ratio), 1 or more."""
        return max(1, self.base * percent(ratio_id) // 100)


@dataclass(frozen=True)
class Site:
    """A convolution without bias, followed by a batch norm and an activation.

    name: unique. inputs, outputs: indices of the space's widths. kernel, stride: of both axes;
    the padding keeps the size at stride 1. activation: "relu", "relu6" or "" for none.
    code: indices of the widths whose ratios the generator of its weights takes. hidden: neurons
    of the generator. affine: the PruningNet's batch norms have a factor and a bias.
    depthwise: inputs and outputs are the same width.
    """

    name: str
    inputs: int
    outputs: int
    kernel: int
    stride: int
    code: tuple[int, ...]
    activation: str = "relu"
    depthwise: bool = False
    hidden: int = 32
    affine: bool = False


@dataclass(frozen=True)
class Block:
    """A chain of convolutions, and a shortcut that is added to its output.

    shortcut: None: nothing; (): the block's input; (site,): that convolution of the input.
    activation: of the sum. pool: a 3x3 max pool with stride 2 follows the block.
    """

    path: tuple[Site, ...]
    shortcut: tuple[Site, ...] | None = None
    activation: str = ""
    pool: bool = False


@dataclass(frozen=True)
class Space:
    """A network: its blocks, then the mean over the image and a linear classifier.

    image: (height, width, channels). widths: the first is that of the image; blocks and codes
    refer to them by index. written: the gene of each number in an encoding.
    """

    name: str
    image: tuple[int, int, int]
    classes: int
    widths: tuple[Width, ...]
    blocks: tuple[Block, ...]
    written: tuple[int, ...]

    @cached_property
    def genes(self) -> int:
        """How many genes a structure has."""
        return 1 + max(width.gene for width in self.widths if width.gene is not None)

    @property
    def features(self) -> int:
        """The index of the width that the classifier takes."""
        return self.blocks[-1].path[-1].outputs

    @property
    def full(self) -> Structure:
        """The structure that prunes nothing."""
        return (FULL,) * self.genes

    @property
    def least(self) -> Structure:
        """The structure that prunes most."""
        return (0,) * self.genes

    def sites(self) -> Iterator[Site]:
        """Every convolution in the order of execution; a shortcut's is the last of its block."""
        for block in self.blocks:
            yield from block.path
            yield from block.shortcut or ()

    def channels(self, structure: Structure) -> tuple[int, ...]:
        """The channels of each width in a structure."""
        return tuple(width.channels(width.ratio_id(structure)) for width in self.widths)

    def ratio_ids(self, structure: Structure) -> tuple[int, ...]:
        """The ratio id of each width in a structure."""
        return tuple(width.ratio_id(structure) for width in self.widths)

    def encode(self, structure: Structure) -> tuple[int, ...]:
        """The encoding of a structure, as users write it."""
        return tuple(structure[gene] for gene in self.written)

    def decode(self, encoding: tuple[int, ...]) -> Structure:
        """The structure of an encoding; UserError for one that is not valid."""
        if len(encoding) != len(self.written):
            raise UserError(
                f"the encoding has {len(encoding)} ratio ids; {self.name} takes "
                f"{len(self.written)}."
            )
        structure: dict[int, int] = {}
        for place, (gene, ratio_id) in enumerate(zip(self.written, encoding, strict=True)):
            if ratio_id not in range(RATIOS):
                raise UserError(
                    f"ratio id {ratio_id} at index {place} of the encoding is outside 0..{FULL}."
                )
            if structure.setdefault(gene, ratio_id) != ratio_id:
                raise UserError(
                    f"ratio id {ratio_id} at index {place} of the encoding must be "
                    f"{structure[gene]}, because these widths meet at a shortcut."
                )
        return tuple(structure[gene] for gene in range(self.genes))
