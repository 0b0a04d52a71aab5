"""The size of gateware in cells, gates and transistors, counted by Yosys."""
