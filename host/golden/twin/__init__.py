"""An exact model of the device in Python: registers, memories, engine and its end of the link."""
