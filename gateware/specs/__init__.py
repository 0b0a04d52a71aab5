"""Frozen specs."""
