"""Formal proofs of the macro: what is proved, and what runs the solver."""
