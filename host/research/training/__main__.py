"""`python -m dscim.host.research.training`: train, quantise, fine-tune, export and evaluate."""

import sys

from dscim.errors import UserError

try:
    import torch  # noqa: F401
except ImportError:
    sys.exit("training needs torch: install it with `pip install dscim[train]`")

from dscim.host.research.training.command import main

if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as error:
        print(f"dscim training: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit("stopped: the same command goes on from the last epoch")
