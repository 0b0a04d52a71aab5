"""The whole training of each experiment: the commands in order, as `all` runs them."""


def _tuned(name: str, lengths: dict[tuple[str, int], str], rest: str) -> tuple[str, ...]:
    """The commands that fine-tune NAME-int8 for each variant and length, by its own options."""
    return tuple(f"finetune {{folder}}/{name}-int8.npz -o {{folder}}/{name}-{variant}-{length}.npz "
                 f"--variant {variant} --length {length} {options} {rest}"
                 for (variant, length), options in lengths.items())


PLANS: dict[str, tuple[str, ...]] = {
    "fashion-resnet8": (
        "float",
        "float --name refined --start float --epochs 6 --rate 0.03 --reach 1 --smoothing 0",
        "export --name fashion-resnet8-int8 --teacher refined --folder {folder}",
        *_tuned("fashion-resnet8", {("ds-cim1", 256): "--epochs 4 --rate 0.003"},
                "--images 50000 --held-out 5000 --average 0.99"),
        "evaluate --folder {folder}"),
    "cifar10-resnet8": (
        "float --epochs 28 --rate 0.2 --images 48000 --held-out 2000 --smoothing 0",
        "export --name cifar10-resnet8-int8 --held-out 2000 --folder {folder}",
        *_tuned("cifar10-resnet8", {("ds-cim1", 256): "--epochs 4 --rate 0.003",
                                    ("ds-cim1", 64): "--epochs 6 --rate 0.01"},
                "--images 48000 --held-out 2000 --reach 2 --average 0.99"),
        "evaluate --folder {folder}"),
    "cifar10-resnet18": (
        "float --epochs 200 --rate 0.1 --images 48000 --held-out 2000 --reach 4 --batch 128 "
        "--smoothing 0",
        "export --name cifar10-resnet18-int8 --held-out 2000 --folder {folder}",
        *_tuned("cifar10-resnet18", dict.fromkeys(
            (("ds-cim1", length) for length in (256, 128, 64)), "--epochs 10 --rate 0.003"),
            "--images 48000 --held-out 2000 --reach 4 --batch 128"),
        "evaluate --folder {folder} --limit 10000"),
}
"""Of each experiment its commands: `finetune` is that of `dscim`, the others those of
`python -m dscim.host.training`; {folder} is where networks go."""
