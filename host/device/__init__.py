"""One device: its link, memories and registers; layers and whole networks on it, compared."""

from dscim.host.device.device import Device, LayerRun, ProductRun

__all__ = ["Device", "LayerRun", "ProductRun"]
