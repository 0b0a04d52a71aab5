"""Networks from other tools' files: TensorFlow Lite INT8 and ONNX QDQ."""

from dscim.host.importers.draft import Imported
from dscim.host.importers.importer import import_file

__all__ = ["Imported", "import_file"]
