"""What ends the child process becomes one line: crashes, calls without end, too much memory; signals are passed on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from converter import watchdog

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "fixtures/good/tf215_stack/model.h5"
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the sandbox is Linux' own")

# The program, with reading replaced by what a broken file makes a library do.
PROGRAM = """
import os, signal, sys, time
import numpy
from converter import readers, watchdog
from converter.cli.main import main
def nested(*_):
    with watchdog.watched("reading m.h5", 0.4):
        with watchdog.watched("reading /a with HDF5", 30):
            pass
        while True: pass
def spin(*_):
    with watchdog.watched("reading /a with HDF5", 0.2):
        while True: pass
def hungry(*_):
    return [numpy.empty(1 << 26, numpy.uint8) for _ in range(1000)]  # asked for alone, and never touched
def wait(*_):
    print("reading", flush=True)
    time.sleep(30)
readers.load = {"crash": lambda *_: os.kill(os.getpid(), signal.SIGSEGV), "spin": spin, "nested": nested,
                "hungry": hungry, "wait": wait}[os.environ["FAULT"]]
sys.exit(main())
"""


def heeded(*ignored: signal.Signals) -> None:
    """In a child: signals as a terminal sets them, although the tests may run where some are ignored."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN if name in ignored else signal.SIG_DFL)


def start(fault: str, folder: Path, *options: str, ignored: tuple[signal.Signals, ...] = ()) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(MODEL), "-o", str(folder / "m.onnx"), *options], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT), "FAULT": fault},
        preexec_fn=lambda: heeded(*ignored),
    )  # fmt: skip


@linux
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("crash", "a library crashed (SIGSEGV)"),
        ("spin", "the library did not come back (SIGPROF) while reading /a with HDF5"),
        ("nested", "the library did not come back (SIGPROF) while reading m.h5"),
        ("hungry", "not enough memory"),
    ],
)
def test_a_fault_of_a_library_is_one_line(fault, words, tmp_path):
    child = start(fault, tmp_path)
    stdout, stderr = child.communicate(timeout=60)
    assert (child.returncode, stdout) == (1, "")
    (line,) = stderr.splitlines()
    assert line == f"error: {MODEL}: {words}"
    assert os.listdir(tmp_path) == []


@linux
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_reach_the_work(number, tmp_path):
    child = start("wait", tmp_path)
    assert child.stdout is not None
    assert child.stdout.readline() == "reading\n"
    child.send_signal(number)
    _, stderr = child.communicate(timeout=20)
    assert child.returncode == 130
    assert stderr == f"error: {MODEL}: interrupted\n"


@linux
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_what_nohup_has_it_ignore_is_ignored(number, tmp_path):
    child = start("wait", tmp_path, ignored=(number,))
    assert child.stdout is not None
    assert child.stdout.readline() == "reading\n"
    child.send_signal(number)
    with pytest.raises(subprocess.TimeoutExpired):
        child.communicate(timeout=1)
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=20)
    assert child.returncode == 130


@linux
def test_trust_does_without(tmp_path):
    child = start("crash", tmp_path, "--trust")
    child.communicate(timeout=60)
    assert child.returncode == -signal.SIGSEGV


@linux
def test_little_memory_is_given_back():
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(MemoryError), watchdog.little_memory(1 << 20):
        bytearray(1 << 30)  # less may be free within the heap of a process that has run other tests
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    assert bytearray(1 << 30)


def test_outside_a_sandbox_nothing_is_timed():
    with watchdog.watched("x", 1e-6):
        assert sum(range(100_000)) > 0
