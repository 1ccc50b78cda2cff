"""`python -m converter`: the same as the command `convert`."""

from __future__ import annotations

import sys

from converter.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
