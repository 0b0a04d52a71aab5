"""The layer engine: executes layers from descriptors, with all data in on-chip memory."""
