"""From a board to a bitstream: tools, the flow, and estimates of size and speed before it."""
