"""The whole training of each experiment: the commands in order, as `all` runs them."""

PLANS: dict[str, tuple[str, ...]] = {
    "fashion-resnet8": (
        "float",
        "float --name refined --start float --epochs 6 --rate 0.03 --reach 1 --smoothing 0",
        "export --name fashion-resnet8-int8 --variant exact --teacher refined",
        "finetune --name one-256 --teacher refined --length 256 --images 50000 --epochs 5 "
        "--rate 0.002",
        "finetune --name one-256-g4 --start one-256 --teacher refined --length 256 --grid 4 "
        "--images 50000 --epochs 2 --rate 0.0012",
        "export --name fashion-resnet8 --checkpoint one-256-g4 --length 256 --grid 4 "
        "--teacher refined",
        "evaluate"),
    "cifar10-resnet8": (
        "float --epochs 20 --rate 0.2 --images 48000 --held-out 2000 --smoothing 0",
        "float --name refined --start float --epochs 5 --rate 0.1 --images 48000 "
        "--held-out 2000 --smoothing 0",
        "export --name cifar10-resnet8-int8 --variant exact --teacher refined --held-out 2000",
        "finetune --name one-256 --teacher refined --length 256 --grid 4 --images 16000 "
        "--held-out 2000 --reach 2 --epochs 3 --rate 0.002 --average 0",
        "export --name cifar10-resnet8-ds-cim1-256 --checkpoint one-256 --teacher refined "
        "--length 256 --grid 4 --held-out 2000",
        "evaluate"),
    "cifar10-resnet18": (
        "float --epochs 200 --rate 0.1 --images 48000 --held-out 2000 --reach 4 --batch 128 "
        "--smoothing 0",
        "export --name cifar10-resnet18-int8 --variant exact --held-out 2000 "
        "--folder build/cifar10-resnet18",
        "finetune --name one-256 --length 256 --grid 4 --images 48000 --held-out 2000 --reach 4 "
        "--batch 128 --epochs 10 --rate 0.001",
        "export --name cifar10-resnet18-ds-cim1-256 --checkpoint one-256 --length 256 --grid 4 "
        "--held-out 2000 --folder build/cifar10-resnet18",
        "finetune --name one-128 --start one-256 --length 128 --grid 4 --images 48000 "
        "--held-out 2000 --reach 4 --batch 128 --epochs 5 --rate 0.0007",
        "export --name cifar10-resnet18-ds-cim1-128 --checkpoint one-128 --length 128 --grid 4 "
        "--held-out 2000 --folder build/cifar10-resnet18",
        "finetune --name one-64 --start one-128 --length 64 --grid 4 --images 48000 "
        "--held-out 2000 --reach 4 --batch 128 --epochs 10 --rate 0.001",
        "export --name cifar10-resnet18-ds-cim1-64 --checkpoint one-64 --length 64 --grid 4 "
        "--held-out 2000 --folder build/cifar10-resnet18",
        "evaluate --folder build/cifar10-resnet18 --limit 10000"),
}
"""Of each experiment, what follows `python -m dscim.host.training`; README.md has the others."""
