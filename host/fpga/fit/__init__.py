"""Does it fit, before it is built: sizes from real synthesis, cycles from the engine's model."""
