"""The SoC in Verilator: build, harness, server."""
