"""Formal proofs of the macro: designs, assertions, and the call of the solver."""
