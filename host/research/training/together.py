"""Training by several processes: torch's DistributedDataParallel, as torchrun starts them.

Alone, all of it does nothing. Every process draws the same structure and the same order of
images, and takes its share of each batch; the gradients are averaged.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import distributed, nn

from dscim.errors import UserError


@contextmanager
def together() -> Iterator[None]:
    """Joins the other processes of torchrun for a while: by NCCL with GPUs, else by Gloo."""
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
    """This one's number, from 0. Number 0 writes files and tells how it goes."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def device() -> torch.device:
    """Where this process trains: on its own GPU where there are some, else on the CPU."""
    if count() > 1 and torch.cuda.is_available():
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    return torch.device("cpu")


def spread(net: nn.Module) -> nn.Module:
    """The network to call in training: its gradients are those of all processes.

    A structure leaves the private batch norms of others unused.
    """
    if count() == 1:
        return net
    return nn.parallel.DistributedDataParallel(net, find_unused_parameters=True)


def share(batch: int) -> slice:
    """This process's part of a batch; UserError where it cannot be cut in equal parts."""
    if batch % count():
        raise UserError(
            f"a batch of {batch} images cannot be cut for {count()} processes; give "
            f"a multiple with --batch."
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
    """Goes on when all processes are here."""
    if count() > 1:
        distributed.barrier()
