"""From a board's declaration to a bitstream that meets timing: tools, steps, timing, report."""
