"""Networks from other tools' files: TensorFlow Lite INT8 and ONNX QDQ."""

from dscim.host.importers.compare import Compared, compare
from dscim.host.importers.draft import Imported
from dscim.host.importers.importer import import_file

__all__ = ["Compared", "Imported", "compare", "import_file"]
