"""The structure spaces by name."""

from collections.abc import Callable
from difflib import get_close_matches
from functools import cache

from dscim.errors import UserError
from dscim.host.network.datasets.pixels import IMAGENET_SCALING, Input
from dscim.host.research.prune.mobilenet import mobilenet_v1, mobilenet_v2
from dscim.host.research.prune.resnet import basic_net, bottleneck_net
from dscim.host.research.prune.space import Space

IMAGENET, CIFAR, FASHION = (224, 224, 3), (32, 32, 3), (28, 28, 1)

V1 = (
    (32, 2),
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
)
"""(base width, stride) of MobileNetV1's stem and blocks."""

V1_SMALL = ((48, 2), (96, 2), (96, 1), (160, 2), (160, 1), (160, 1), (160, 1))
"""The same for images of 28x28 and 32x32. Images shrink early, so that a budget of a quarter of the
full network's cycles on the default device can be met."""

V2 = (
    (22, 1, 1, 1),
    (33, 2, 2, 6),
    (44, 3, 2, 6),
    (88, 4, 2, 6),
    (132, 3, 1, 6),
    (224, 3, 2, 6),
    (448, 1, 1, 6),
)
"""(base width, repeats, stride, expansion) of the stages of the 1.4x MobileNetV2."""

RESNET50 = ((256, 3, 1), (512, 4, 2), (1024, 6, 2), (2048, 3, 2))
RESNET8 = ((16, 1, 1), (32, 1, 2), (64, 1, 2))

SPACES: dict[str, Callable[[str], Space]] = {
    "mobilenet-v1": lambda name: mobilenet_v1(name, IMAGENET, 1000, V1),
    "mobilenet-v2": lambda name: mobilenet_v2(name, IMAGENET, 1000, 44, V2, 1280),
    "resnet-50": lambda name: bottleneck_net(name, IMAGENET, 1000, 64, RESNET50),
    "cifar10-mobilenet-v1": lambda name: mobilenet_v1(name, CIFAR, 10, V1_SMALL),
    "cifar10-resnet8": lambda name: basic_net(name, CIFAR, 10, RESNET8),
    "fashion-mobilenet-v1": lambda name: mobilenet_v1(name, FASHION, 10, V1_SMALL),
    "fashion-resnet8": lambda name: basic_net(name, FASHION, 10, RESNET8),
}
"""The declaration of each space."""


@cache
def space(name: str) -> Space:
    """The space `name`; UserError when there is no such space."""
    if name not in SPACES:
        near = get_close_matches(name, SPACES, 1)
        meant = f" (did you mean {near[0]}?)" if near else ""
        raise UserError(f"there is no space {name!r}{meant}; choose one of {', '.join(SPACES)}.")
    return SPACES[name](name)


DATA = {
    IMAGENET: ("folder", Input.spanning(*IMAGENET_SCALING)),
    CIFAR: ("cifar10", Input()),
    FASHION: ("fashion-mnist", Input()),
}
"""By the shape of a space's images: the data set, and how networks take its pixels."""
