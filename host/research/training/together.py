"""Training in several processes, started by torchrun, with torch's DistributedDataParallel.

In a single process these functions do nothing. All processes draw the same structures and the same
order of images, and each takes its share of each batch; the gradients are averaged.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import distributed, nn

from dscim.errors import UserError


@contextmanager
def together() -> Iterator[None]:
    """Joins the other processes of torchrun within the block, with NCCL on GPUs, else with Gloo."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def count() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """The number of this process, from 0. Process 0 writes files and reports progress."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def device() -> torch.device:
    """Where this process trains: on its own GPU if there is one, else on the CPU."""
    if count() > 1 and torch.cuda.is_available():
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    return torch.device("cpu")


def spread(net: nn.Module) -> nn.Module:
    """The module to call in training, whose gradients are averaged over all processes.

    Parameters may be unused: each structure uses only its own batch norms.
    """
    if count() == 1:
        return net
    return nn.parallel.DistributedDataParallel(net, find_unused_parameters=True)


def share(batch: int) -> slice:
    """This process's part of a batch; UserError if the parts would not be equal."""
    if batch % count():
        raise UserError(
            f"a batch of {batch} images cannot be divided among {count()} processes; give "
            "a multiple of their number with --batch."
        )
    return slice(rank(), None, count())


def average(value: float) -> float:
    """The mean of a number over all processes."""
    if count() == 1:
        return value
    held = torch.tensor([value], device=device())
    distributed.all_reduce(held)
    return float(held) / count()


def wait() -> None:
    """Waits until all processes have reached this point."""
    if count() > 1:
        distributed.barrier()
