"""The whole training of each experiment: its commands, in the order in which `all` runs them."""

from collections.abc import Iterator

Step = tuple[str, str, str, int, int, float]
"""A fine-tuning: output, network to start from, variant, length, epochs, maximum rate."""


def _finetune(name: str, steps: tuple[Step, ...], shared: str) -> Iterator[str]:
    """The commands of `steps`. name: the beginning of their files' names. shared: more options."""
    for output, start, variant, length, epochs, rate in steps:
        yield (
            f"finetune {{folder}}/{name}{start}.npz -o {{folder}}/{name}{output}.npz "
            f"--teacher {{folder}}/{name}-int8.npz --variant {variant} --length {length} "
            f"--epochs {epochs} --rate {rate} {shared}"
        )


PLANS: dict[str, tuple[str, ...]] = {
    "fashion-resnet8": (
        "float",
        "float --name refined --start float --epochs 6 --rate 0.03 --reach 1 --smoothing 0",
        "export --name fashion-resnet8-int8 --teacher refined --folder {folder}",
        *_finetune(
            "fashion-resnet8",
            (
                ("", "-int8", "ds-cim1", 256, 4, 0.003),
                ("-ds-cim1-64", "-int8", "ds-cim1", 64, 5, 0.01),
            ),
            "--images 50000 --held-out 5000 --average 0.99",
        ),
        "evaluate --folder {folder}",
    ),
    "cifar10-resnet8": (
        "float --epochs 28 --rate 0.2 --images 48000 --held-out 2000 --smoothing 0",
        "export --name cifar10-resnet8-int8 --held-out 2000 --folder {folder}",
        *_finetune(
            "cifar10-resnet8",
            (
                ("-begun", "-int8", "ds-cim1", 256, 4, 0.003),
                ("-more", "-begun", "ds-cim1", 256, 3, 0.002),
                ("-ds-cim1-256", "-more", "ds-cim1", 256, 3, 0.0015),
                ("-half", "-begun", "ds-cim1", 128, 3, 0.004),
                ("-ds-cim1-128", "-half", "ds-cim1", 128, 3, 0.003),
                ("-ds-cim1-64", "-int8", "ds-cim1", 64, 6, 0.01),
                ("-ds-cim2-256", "-ds-cim1-64", "ds-cim2", 256, 1, 0.004),
                ("-ds-cim2-128", "-ds-cim2-256", "ds-cim2", 128, 1, 0.006),
                ("-ds-cim2-64", "-ds-cim2-128", "ds-cim2", 64, 1, 0.008),
            ),
            "--images 48000 --held-out 2000 --reach 2 --average 0.99",
        ),
        "evaluate --folder {folder}",
    ),
    "cifar10-resnet18": (
        "float --epochs 200 --rate 0.1 --images 48000 --held-out 2000 --reach 4 --batch 128 "
        "--smoothing 0",
        "export --name cifar10-resnet18-int8 --held-out 2000 --folder {folder}",
        *_finetune(
            "cifar10-resnet18",
            (
                ("-ds-cim1-256", "-int8", "ds-cim1", 256, 10, 0.003),
                ("-ds-cim1-128", "-ds-cim1-256", "ds-cim1", 128, 10, 0.004),
                ("-ds-cim1-64", "-ds-cim1-128", "ds-cim1", 64, 10, 0.006),
            ),
            "--images 48000 --held-out 2000 --reach 4 --batch 128 --calibration 128",
        ),
        "evaluate --folder {folder} --limit 10000",
    ),
}
"""The commands of each experiment: `finetune` is that of `dscim`, the others are those of
`dscim dev train`; {folder} is where networks go."""
