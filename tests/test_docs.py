"""README.md and docs/ say what is true: tables are the code's, commands and snippets run, links lead somewhere."""

from __future__ import annotations

import doctest
import re
import shutil
from pathlib import Path

import pytest
from command_line import run
from docs_tables import PAGE, filled

from converter import Unsupported, api, batch, converting

ROOT = PAGE.parents[1]
README, CONTRIBUTING, DEPLOYING = (
    (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md", "docs/deploying.md")
)
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_tables_are_those_of_the_code() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert filled(text) == text, "run `python tests/docs_tables.py`"


def test_readme_is_a_screen_and_a_half() -> None:
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]*)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert not target or (page.parent / target).exists(), f"{page.name}: {target}"


def test_first_command_converts_a_file_that_is_there(tmp_path: Path) -> None:
    words = re.search(r"\.venv/bin/keras-lstm-convert (.*)", README)[1].split()
    done = run(*(tmp_path / w if w == "model.onnx" else w for w in words))
    assert done.returncode == 0, done.stderr
    promised = re.search(r"```\n(wrote model.onnx.*?)```", README, re.DOTALL)[1]

    def worded(text: str) -> list[str]:
        return [re.sub(r"\d\.\de-\d\d|\d+(\.\d+)+|\([\d.]+ kB\)", "N", line) for line in text.splitlines()[1:]]

    assert worded(promised) == worded(done.stdout)


def test_every_folder_of_the_map_exists() -> None:
    named = re.findall(r"`((?:converter|reference_lstm|fixtures|benchmarks|examples|tests)[\w/.]*)`", CONTRIBUTING)
    assert len(named) > 20
    for name in named:
        if "/" in name or name in ("fixtures", "benchmarks", "reference_lstm"):
            assert (ROOT / name).exists(), name


def test_python_snippets_run(tmp_path: Path, monkeypatch) -> None:
    model = ROOT / "fixtures/good/tf215_stack/model.h5"
    api.convert(model, tmp_path / "model.onnx")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT / "examples")
    plugins = (ROOT / "docs/plugins.md").read_text(encoding="utf-8")
    started = (ROOT / "docs/getting-started.md").read_text(encoding="utf-8")
    shutil.copy(model, tmp_path)
    snippets = re.findall(r"```python\n(.*?)```", README + started + plugins + DEPLOYING, re.DOTALL)
    names: dict[str, object] = {}
    for snippet in snippets:
        exec(compile(snippet, "docs", "exec"), names)
    assert {name: array.shape for name, array in names["y"].items()} == {"dense": (8, 2)}


def test_docstring_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(ROOT / "fixtures/good/tf215_stack/model.h5", tmp_path)
    monkeypatch.chdir(tmp_path)
    api.convert("model.h5", "weights.npz", to="npz")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # of processes
    modules = (api, converting, batch)
    found = [test for module in modules for test in doctest.DocTestFinder().find(module) if test.examples]
    assert len(found) == 6
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for test in sorted(found, key=lambda test: not test.name.endswith(".convert")):  # the others use what it writes
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0


def test_an_unknown_target_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match=r"there is no target tflight.*[Tt]he targets are onnx"):
        api.convert(ROOT / "fixtures/good/tf215_stack/model.h5", tmp_path / "x", to="tflight")
