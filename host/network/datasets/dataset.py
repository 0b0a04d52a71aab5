"""Data sets in memory: the result of every loader."""

from dataclasses import dataclass

from dscim.arrays import Int64, UInt8
from dscim.errors import UserError


@dataclass(frozen=True)
class Dataset:
    """Labelled images in two parts; either may be empty.

    name: the name in results. classes: the name of each class, by label.
    images: uint8 (N, H, W, C), 0 is black and 255 white; C = 1 for grey, 3 for red, green and blue.
    labels: int64 (N,), 0 <= label < len(classes).
    """

    name: str
    classes: tuple[str, ...]
    train_images: UInt8
    train_labels: Int64
    test_images: UInt8
    test_labels: Int64

    def __post_init__(self) -> None:
        for images, labels in (
            (self.train_images, self.train_labels),
            (self.test_images, self.test_labels),
        ):
            if images.ndim != 4 or labels.shape != images.shape[:1]:
                raise UserError(
                    f"{self.name} has images of the shape {images.shape} and labels "
                    f"of the shape {labels.shape}, not (N, H, W, C) and (N,)."
                )
            if len(labels) and not 0 <= labels.min() <= labels.max() < len(self.classes):
                raise UserError(
                    f"{self.name} has the labels {labels.min()}..{labels.max()}, "
                    f"but its {len(self.classes)} classes are "
                    f"0..{len(self.classes) - 1}."
                )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of an image."""
        _, height, width, channels = self.test_images.shape
        return height, width, channels
