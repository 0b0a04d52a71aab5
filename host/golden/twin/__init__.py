"""The device in Python, exact: its registers and memories, its engine, its end of the link."""
