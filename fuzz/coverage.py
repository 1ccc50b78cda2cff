"""Fuzzing led by coverage, with atheris: python fuzz/coverage.py KIND CORPUS [libFuzzer options, as -runs=100000].

KIND is a key of `targets.TARGETS`. Seeds are put in CORPUS; half of the mutations are those of the kind, which keep its
structure, and half libFuzzer's own. What raises anything but a ConversionError ends the run, and libFuzzer keeps it.
"""

from __future__ import annotations

import importlib
import pkgutil
import random
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import atheris

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

with atheris.instrument_imports(include=["converter"]):
    import converter.formats
    import converter.keras
    import converter.readers
    from converter.errors import ConversionError

    for package in (converter.formats, converter.readers):  # what readers import late would not be instrumented
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)

import seed_files  # noqa: E402
import targets  # noqa: E402


def main() -> None:
    kind, corpus = sys.argv[1], Path(sys.argv[2])
    target, scratch = targets.TARGETS[kind], tempfile.TemporaryDirectory()
    seed_files.SCRATCH[0] = scratch.name
    seeds = target.seeds()
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed{number}").write_bytes(seed.data)
    first = next(seed for seed in seeds if seed.companions == seeds[0].companions)
    file, path, architecture = first.place(Path(scratch.name) / "read")

    def read(data: bytes) -> None:
        file.write_bytes(data)
        try:
            target.run(path, architecture)
        except (ConversionError, OSError):
            return

    def mutated(data: bytes, most: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if rng.random() < 0.5:
            return bytes(atheris.Mutate(data, most))
        return target.mutated(replace(first, data=data), rng)[:most]

    atheris.Setup([sys.argv[0], str(corpus), "-max_len=200000", *sys.argv[3:]], read, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
