"""Simulation of the SoC in Verilator: build, harness, server."""
