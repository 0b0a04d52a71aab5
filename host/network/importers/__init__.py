"""Imports networks from other tools' files: TensorFlow Lite INT8 and ONNX QDQ."""

from dscim.host.network.importers.compare import Compared, compare
from dscim.host.network.importers.draft import Imported
from dscim.host.network.importers.importer import import_file

__all__ = ["Compared", "Imported", "compare", "import_file"]
