"""Declarations of MobileNetV1 and MobileNetV2 (arXiv 1704.04861 and 1801.04381)."""

from collections.abc import Iterator
from itertools import chain, repeat

from dscim.host.research.prune.space import Block, Site, Space, Width

Shape = tuple[int, int, int]

V2_HIDDEN = 64
"""Neurons of the generators of MobileNetV2's bottlenecks."""


def mobilenet_v1(name: str, image: Shape, classes: int, plan: tuple[tuple[int, int], ...]) -> Space:
    """A stem and depthwise-separable blocks; one gene per width but the last.

    plan: (base width, stride) of the stem, then of each block.
    """
    last = len(plan) - 1
    widths = (
        Width(image[2]),
        *(Width(base, gene if gene < last else None) for gene, (base, _) in enumerate(plan)),
    )
    stem = Site("stem", 0, 1, 3, plan[0][1], code=(1,), affine=True)
    blocks = [Block((stem,))]
    for k, (_, stride) in enumerate(plan[1:], 1):
        code = (k, k + 1)
        blocks.append(
            Block(
                (
                    Site(f"block{k}.depthwise", k, k, 3, stride, code, depthwise=True, affine=True),
                    Site(f"block{k}.pointwise", k, k + 1, 1, 1, code),
                )
            )
        )
    return Space(name, image, classes, widths, tuple(blocks), tuple(range(last)))


def mobilenet_v2(
    name: str,
    image: Shape,
    classes: int,
    stem: int,
    plan: tuple[tuple[int, int, int, int], ...],
    head: int,
) -> Space:
    """A stem, stages of inverted bottlenecks, a last 1x1 convolution to `head` channels.

    plan: (base width, repeats, stride, expansion) of each stage. Genes: the stem and each
    stage's output, then each bottleneck's middle; an encoding repeats an output for each of the
    stage's repeats. A block's middle is the expansion times the block's base input width.
    """
    repeats = (1, *(stage[1] for stage in plan))
    outputs = tuple(
        Width(base, gene) for gene, base in enumerate((stem, *(stage[0] for stage in plan)))
    )
    middles = tuple(Width(base, len(outputs) + k) for k, base in enumerate(_middles(stem, plan)))
    first = 1 + len(outputs)
    widths = (Width(image[2]), *outputs, *middles, Width(head))
    blocks = [Block((Site("stem", 0, 1, 3, 2, code=(1,), activation="relu6"),))]
    for k, (stage, index) in enumerate(
        (stage, index) for stage, count in enumerate(repeats[1:], 1) for index in range(count)
    ):
        _, _, stride, expansion = plan[stage - 1]
        blocks.append(
            _inverted(
                f"block{k + 1}",
                stage + (index > 0),
                stage + 1,
                first + k,
                1 if index else stride,
                expansion > 1,
            )
        )
    last = len(widths) - 1
    blocks.append(
        Block((Site("head", len(outputs), last, 1, 1, code=(len(outputs),), activation="relu6"),))
    )
    written = chain(
        *(repeat(gene, count) for gene, count in enumerate(repeats)),
        range(len(outputs), len(outputs) + len(middles)),
    )
    return Space(name, image, classes, widths, tuple(blocks), tuple(written))


def _middles(stem: int, plan: tuple[tuple[int, int, int, int], ...]) -> Iterator[int]:
    """The base width of each bottleneck's middle."""
    inputs = stem
    for base, repeats, _, expansion in plan:
        for _ in range(repeats):
            yield inputs * expansion
            inputs = base


def _inverted(
    name: str, inputs: int, outputs: int, middle: int, stride: int, expands: bool
) -> Block:
    """Expand, depthwise, project; with a shortcut inside a stage, where the width is the same."""
    code = (middle, inputs, outputs)
    path = (
        Site(f"{name}.expand", inputs, middle, 1, 1, code, "relu6", hidden=V2_HIDDEN),
        Site(
            f"{name}.depthwise",
            middle,
            middle,
            3,
            stride,
            code,
            "relu6",
            depthwise=True,
            hidden=V2_HIDDEN,
        ),
        Site(f"{name}.project", middle, outputs, 1, 1, code, "", hidden=V2_HIDDEN),
    )
    return Block(path, () if inputs == outputs else None)
