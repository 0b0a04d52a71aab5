"""One device: its memories and registers, and running layers and whole networks on it."""

from dscim.host.device.device import Device, LayerRun, ProductRun

__all__ = ["Device", "LayerRun", "ProductRun"]
