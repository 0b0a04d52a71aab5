"""The reliable link's device half: frames beside UARTBone, checked, acknowledged, applied once."""
