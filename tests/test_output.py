"""Files written as one: a fault or a kill at any point leaves what was before, or what is new, and never a mixture."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from converter import output

CALLS = ("replace", "link", "fsync", "open", "rename", "unlink", "mkdir", "rmdir")
OLD, NEW = {"m.py": b"old code", "m.st": b"old weights"}, {"m.py": b"new code", "m.st": b"new weights"}


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).write_bytes(content)


def convert(folder: Path, files: dict[str, bytes], main: str) -> None:
    with output.staging(folder / main) as written:
        write(written.parent, files)
        output.publish(written, folder / main, True)


def state(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def failing(count: int, fault: Callable[[], None]) -> Callable[[], None]:
    """Makes the `count`-th of the calls that change the disk run `fault` instead; gives what undoes that."""
    seen = [0]
    originals = {name: getattr(os, name) for name in CALLS}

    def patched(name):
        def call(*args, **kwargs):
            seen[0] += 1
            if seen[0] == count:
                fault()
            return originals[name](*args, **kwargs)

        return call

    for name in CALLS:
        setattr(os, name, patched(name))

    def undo() -> None:
        for name, original in originals.items():
            setattr(os, name, original)

    return undo


def killed(folder: Path, files: dict[str, bytes], main: str, count: int) -> None:
    failing(count, lambda: os.kill(os.getpid(), signal.SIGKILL))
    convert(folder, files, main)


def points(tmp_path: Path, run: Callable[[Path, int], bool]) -> int:
    """Runs for count = 1, 2, ... until a run is not disturbed; how many were."""
    for count in range(1, 300):
        folder = tmp_path / f"{count}"
        folder.mkdir()
        if not run(folder, count):
            return count - 1
    raise AssertionError("no end")


def test_a_fault_at_any_point_leaves_the_old_files_and_nothing_else(tmp_path):
    def run(folder: Path, count: int) -> bool:
        fired: list[int] = []

        def no_space() -> None:
            fired.append(count)
            raise OSError(28, "No space left on device")

        write(folder, OLD)
        undo, wanted = failing(count, no_space), NEW
        try:
            convert(folder, NEW, "m.st")
        except OSError:
            wanted = OLD
        finally:
            undo()
        assert state(folder) == wanted
        output.sweep(folder)
        assert state(folder) == wanted
        assert {file.name for file in folder.iterdir()} == set(OLD)
        return bool(fired)

    assert points(tmp_path, run) >= 20


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
@pytest.mark.parametrize(
    ("old", "new", "main", "fixed_names"),
    [
        (OLD, NEW, "m.st", True),
        ({"m.onnx": b"old", "m.onnx.0123456789abcdef.data": b"old data"},
         {"m.onnx": b"new", "m.onnx.fedcba9876543210.data": b"new data"}, "m.onnx", False),
    ],
)  # fmt: skip
def test_a_kill_at_any_point_leaves_old_or_new(tmp_path, old, new, main, fixed_names):
    process = multiprocessing.get_context("fork")

    def run(folder: Path, count: int) -> bool:
        write(folder, old)
        child = process.Process(target=killed, args=(folder, new, main, count))
        child.start()
        child.join()
        left = state(folder)
        if not fixed_names:  # what the main file refers to is there, at once
            assert left.items() >= (new if left[main] == new[main] else old).items()
        output.sweep(folder)
        left = state(folder)
        assert left.items() >= (new if left[main] == new[main] else old).items()
        if fixed_names:
            assert left in (old, new)
        assert not any(file.is_dir() for file in folder.iterdir())
        if child.exitcode == 0:
            assert left == new
        return child.exitcode != 0

    assert points(tmp_path, run) >= 10


def test_what_a_living_process_writes_is_not_cleared(tmp_path):
    with output.staging(tmp_path / "m.st") as written:
        write(written.parent, NEW)
        output.sweep(tmp_path)
        assert written.exists()
        output.publish(written, tmp_path / "m.st", False)
    assert state(tmp_path) == NEW


def test_a_file_in_the_way_is_not_replaced_without_force(tmp_path):
    write(tmp_path, {"m.py": b"mine"})
    with output.staging(tmp_path / "m.st") as written, pytest.raises(FileExistsError, match=r"m\.py exists"):
        write(written.parent, NEW)
        output.publish(written, tmp_path / "m.st", False)
    assert state(tmp_path) == {"m.py": b"mine"}
    assert [file.name for file in tmp_path.iterdir()] == ["m.py"]


def test_names_that_are_not_utf8_are_written(tmp_path):
    name = os.fsdecode(b"m\xff.st")
    convert(tmp_path, {name: b"x"}, name)
    assert state(tmp_path) == {name: b"x"}


def test_a_full_disk_names_the_output(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left on device") as caught, output.staging(tmp_path / "m.onnx") as file:
        file.write_bytes(b"begun")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))
    assert caught.value.filename == str(tmp_path / "m.onnx")
    assert os.listdir(tmp_path) == []
