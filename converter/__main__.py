"""`python -m converter`: the same as the command `convert`."""

from __future__ import annotations

import sys


def main() -> int:
    """Where every command enters; also an interrupt while the program is still being loaded ends it in one line."""
    try:
        from converter.cli.main import main as run

        return run()
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
