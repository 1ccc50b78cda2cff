"""The command line as a process: started anew, or forked from one that has imported the program, which costs a tenth.

The server is forked from before any test has run: it holds no framework, no session and no thread of one.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
CLEAN = multiprocessing.get_context("forkserver" if sys.platform.startswith("linux") else "spawn")


def modules() -> list[str]:
    """All of the program, none of which imports a framework by itself, but what runs when it is imported."""
    files = sorted(file.relative_to(ROOT) for file in (ROOT / "converter").rglob("*.py"))
    names = (".".join(file.with_suffix("").parts).removesuffix(".__init__") for file in files)
    return [name for name in names if not name.endswith("__main__")]


if sys.platform.startswith("linux"):
    CLEAN.set_forkserver_preload(["onnx", "onnxruntime", "h5py", "yaml", *modules()])


def _child(words: list[str], folder: str, streams: tuple[str, str]) -> None:
    os.chdir(folder)
    for number, path in enumerate(streams, 1):
        os.dup2(os.open(path, os.O_WRONLY), number)
    sys.argv = ["converter", *words]
    from converter.cli.main import main

    sys.exit(main())


def run(*words: object, folder: Path = ROOT, fresh: bool = False) -> subprocess.CompletedProcess[str]:
    """Runs the command line in a folder.

    Args:
        fresh: by starting Python, as a user does.
    """
    command = list(map(str, words))
    if fresh or not sys.platform.startswith("linux"):
        return subprocess.run(
            [sys.executable, "-m", "converter", *command], cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    with tempfile.NamedTemporaryFile() as out, tempfile.NamedTemporaryFile() as err:
        work = CLEAN.Process(target=_child, args=(command, str(folder), (out.name, err.name)))
        work.start()
        work.join()
        texts = (file.read().decode() for file in (out, err))
        assert work.exitcode is not None
        return subprocess.CompletedProcess(command, work.exitcode, *texts)
