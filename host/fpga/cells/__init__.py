"""The size of gateware in cells, gates and transistors, as counted by Yosys."""
