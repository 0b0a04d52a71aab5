"""What every test starts from."""

import os
import signal

# A job in the background of a shell starts with SIGINT ignored, and so would what it starts: the
# tests that send one to a child would then wait indefinitely.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The workers of pytest-xdist hand down the width of their terminal, and reports would follow it.
os.environ.pop("COLUMNS", None)


def pytest_collection_modifyitems(items):
    """The tables of node kinds first: what a new kind lacks is named before all that it breaks."""
    items.sort(key=lambda item: item.path.name != "test_kinds.py")
