"""Links: how the host reads and writes the device's bus."""
