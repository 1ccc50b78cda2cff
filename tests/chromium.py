"""Pages in headless Chromium, where it is installed (Debian's package is)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needed = pytest.mark.skipif(PROGRAM is None, reason="needs Chromium")


def chromium(address: str, profile: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Opens a page and does what the options say; its console is in `stderr`, in lines with CONSOLE."""
    command = [
        str(PROGRAM), "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr",
        "--no-first-run", f"--user-data-dir={profile}", *options, address,
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
