"""Declarations of ResNet-50 and ResNet-8 (arXiv 1512.03385; MLPerf Tiny)."""

from dscim.host.research.prune.space import Block, Site, Space, Width

Shape = tuple[int, int, int]
Plan = tuple[tuple[int, int, int], ...]
"""(base width of the output, blocks, stride) of each stage."""

NARROWING = 4
"""A bottleneck's middle is its output's base width divided by this."""


def bottleneck_net(name: str, image: Shape, classes: int, stem: int, plan: Plan) -> Space:
    """A 7x7 stem with a max pool, stages of bottlenecks; the last stage's output is fixed.

    Genes: the stem, each stage's output but the last's, then each bottleneck's middle. The 3x3
    convolution has the stride.
    """
    free = len(plan)
    outputs = tuple(
        Width(base, gene if gene < free else None)
        for gene, base in enumerate((stem, *(stage[0] for stage in plan)))
    )
    bases = [base // NARROWING for base, count, _ in plan for _ in range(count)]
    middles = tuple(Width(base, free + k) for k, base in enumerate(bases))
    blocks = [Block((Site("stem", 0, 1, 7, 2, code=(1,)),), pool=True)]
    middle = 1 + len(outputs)
    for stage, (_, count, stride) in enumerate(plan, 1):
        for index in range(count):
            blocks.append(
                _bottleneck(
                    f"stage{stage}.{index}",
                    stage if index == 0 else stage + 1,
                    stage + 1,
                    middle,
                    1 if index else stride,
                )
            )
            middle += 1
    widths = (Width(image[2]), *outputs, *middles)
    return Space(name, image, classes, widths, tuple(blocks), tuple(range(free + len(middles))))


def _bottleneck(name: str, inputs: int, outputs: int, middle: int, stride: int) -> Block:
    """1x1, 3x3, 1x1; the shortcut is a convolution where the stage begins."""
    code = (middle, inputs, outputs)
    path = (
        Site(f"{name}.reduce", inputs, middle, 1, 1, code),
        Site(f"{name}.spatial", middle, middle, 3, stride, code),
        Site(f"{name}.widen", middle, outputs, 1, 1, code, ""),
    )
    return Block(path, _shortcut(name, inputs, outputs, stride, code), "relu")


def basic_net(name: str, image: Shape, classes: int, plan: Plan) -> Space:
    """A 3x3 stem, stages of two 3x3 convolutions; all widths are free.

    The first stage has the stem's width, so its shortcuts are the identity. Genes: each stage's
    output, then each block's middle.
    """
    outputs = tuple(Width(base, gene) for gene, (base, _, _) in enumerate(plan))
    bases = [base for base, count, _ in plan for _ in range(count)]
    middles = tuple(Width(base, len(plan) + k) for k, base in enumerate(bases))
    blocks = [Block((Site("stem", 0, 1, 3, 1, code=(1,)),))]
    middle = 1 + len(outputs)
    for stage, (_, count, stride) in enumerate(plan, 1):
        for index in range(count):
            inputs = max(1, stage - 1) if index == 0 else stage
            blocks.append(
                _basic(f"stage{stage}.{index}", inputs, stage, middle, 1 if index else stride)
            )
            middle += 1
    widths = (Width(image[2]), *outputs, *middles)
    return Space(name, image, classes, widths, tuple(blocks), tuple(range(len(widths) - 1)))


def _basic(name: str, inputs: int, outputs: int, middle: int, stride: int) -> Block:
    """3x3, 3x3; the shortcut is a convolution where the width changes."""
    code = (middle, inputs, outputs)
    path = (
        Site(f"{name}.first", inputs, middle, 3, stride, code),
        Site(f"{name}.second", middle, outputs, 3, 1, code, ""),
    )
    return Block(path, _shortcut(name, inputs, outputs, stride, code), "relu")


def _shortcut(
    name: str, inputs: int, outputs: int, stride: int, code: tuple[int, ...]
) -> tuple[Site, ...]:
    """The block's input itself inside a stage, else a 1x1 convolution of it."""
    if inputs == outputs:
        return ()
    return (Site(f"{name}.shortcut", inputs, outputs, 1, stride, code, ""),)
