"""Imports networks from other tools' files: TensorFlow Lite and ONNX, of 8 bits."""

from dscim.host.network.importers.check import Checked, check_file
from dscim.host.network.importers.compare import Compared, compare
from dscim.host.network.importers.draft import Imported
from dscim.host.network.importers.importer import import_file

__all__ = ["Checked", "Compared", "Imported", "check_file", "compare", "import_file"]
