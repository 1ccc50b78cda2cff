"""Conversions of two files, killed at 200 points, some within each file written: old or new, and never a mixture."""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from converter import output, readers
from converter.exporters.onnx import export, writer
from converter.exporters.torch import export as export_torch
from converter.model import Model

GOOD = Path(__file__).parents[1] / "fixtures/good"
CALLS = ("replace", "link", "fsync", "rename", "unlink", "mkdir", "rmdir")
PIECE = 8
"""Bytes of a file that are written between two points."""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kill -9")


class _InPieces(io.FileIO):
    """A file that reaches a point before each piece that is written."""

    point: Callable[[], None]

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        for start in range(0, len(view), PIECE):
            self.point()
            super().write(view[start : start + PIECE])
        return len(view)


def counting(point: Callable[[], None]) -> None:
    """Makes this process reach `point` before each piece written, and before each call that changes the disk."""
    plain = io.open

    def opened(file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
        if mode not in ("wb", "w"):
            return plain(file, mode, *args, **options)
        raw = _InPieces(file, "wb")
        raw.point = point
        return io.BufferedWriter(raw) if mode == "wb" else io.TextIOWrapper(io.BufferedWriter(raw), "utf-8")

    io.open = opened
    for name in CALLS:
        original = getattr(os, name)

        def call(*args: Any, original: Any = original, **options: Any) -> Any:
            point()
            return original(*args, **options)

        setattr(os, name, call)


def onnx_and_data(model: Model, goal: Path) -> None:
    with output.staging(goal) as written:
        export(model, written, external_above=0)
        output.publish(written, goal, True)


def weights_and_module(model: Model, goal: Path) -> None:
    with output.staging(goal) as written:
        export_torch(model, written)
        output.publish(written, goal, True)


def child(convert: Callable[[Model, Path], None], model: Model, goal: Path, last: int, told: Any) -> None:
    reached = [0]

    def point() -> None:
        reached[0] += 1
        if reached[0] == last:
            os.kill(os.getpid(), signal.SIGKILL)

    counting(point)
    convert(model, goal)
    told.send(reached[0])


def state(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def made(convert: Callable[[Model, Path], None], model: Model, folder: Path, name: str) -> dict[str, bytes]:
    folder.mkdir()
    convert(model, folder / name)
    return state(folder)


@pytest.mark.parametrize(
    ("convert", "name", "at_once"),
    [(onnx_and_data, "m.onnx", True), (weights_and_module, "m.safetensors", False)],
)
def test_100_kills_leave_old_or_new(convert, name, at_once, tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "INLINE_BELOW", 64)  # so that a small model has a data file
    before, after = (readers.load(GOOD / case / "model.h5") for case in ("tf215_stack", "k3151_stack"))
    old, new = (made(convert, model, tmp_path / f"{k}", name) for k, model in enumerate((before, after)))
    assert len(old) == len(new) == 2
    process = multiprocessing.get_context("fork")

    def killed(last: int) -> tuple[bool, int]:
        """Whether the conversion came to its end, and how many points it reached."""
        folder = tmp_path / "killed"
        folder.mkdir(exist_ok=True)
        for file in folder.iterdir():
            file.unlink()
        for file, content in old.items():
            (folder / file).write_bytes(content)
        here, there = process.Pipe(False)
        work = process.Process(target=child, args=(convert, after, folder / name, last, there))
        work.start()
        work.join()
        left = state(folder)
        if at_once:  # what the main file refers to is there before anybody tidies up
            assert left.items() >= (new if left[name] == new[name] else old).items()
        output.sweep(folder)
        left = state(folder)
        assert left.items() >= (new if left[name] == new[name] else old).items()
        assert at_once or left in (old, new)
        assert not any(file.is_dir() for file in folder.iterdir())
        return work.exitcode == 0, here.recv() if work.exitcode == 0 else 0

    done, points = killed(0)
    assert done
    spread = {1 + k * (points - 1) // 59 for k in range(60)}  # and every one near the end, where files are moved
    chosen = sorted(spread | set(range(points - 45, points + 1)))
    assert len(chosen) >= 100
    assert not any(killed(last)[0] for last in chosen)
