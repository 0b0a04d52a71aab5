"""The layer engine: runs a layer from a descriptor out of on-chip memory."""
