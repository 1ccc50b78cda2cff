"""The architecture, checked: sizes, who may import what, who may print, and what start-up loads."""

from __future__ import annotations

import ast
import graphlib
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import layer_index
import pytest

ROOT = Path(__file__).parents[1]
CODE = sorted(path for folder in ("converter", "reference_lstm") for path in (ROOT / folder).rglob("*.py"))
MAX_LINES, MAX_BODY = 300, 40  # of a file; of a function, without its docstring
FRAMEWORKS = {"tensorflow", "keras", "tf_keras", "torch", "jax"}
ONNX_LIVES_IN = ("converter/exporters/onnx/", "converter/verification/")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def named(path: Path) -> tuple[frozenset[str], frozenset[str]]:
    """Top-level packages that a file imports, anywhere in it; and names that it calls."""
    imported, called = set[str](), set[str]()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imported.add(node.module.split(".")[0])
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            called.add(node.func.id)
    return frozenset(imported), frozenset(called)


def imports(path: Path) -> frozenset[str]:
    return named(path)[0]


def calls(path: Path) -> frozenset[str]:
    return named(path)[1]


def test_files_are_short() -> None:
    lines = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in CODE}
    assert {name: n for name, n in lines.items() if n > MAX_LINES} == {}


def test_functions_are_short() -> None:
    found = {}
    for path in CODE:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) is not None else node.body
                lines = 1 + (body[-1].end_lineno or 0) - body[0].lineno if body else 0
                if lines > MAX_BODY:
                    found[f"{relative(path)}: {node.name}"] = lines
    assert found == {}


def test_no_circle_of_imports_not_even_within_functions() -> None:
    modules = {relative(path).removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for path in CODE}
    needs: dict[str, set[str]] = {}
    for module, path in modules.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        skipped = {id(node) for test in ast.walk(tree) if is_type_checking(test) for node in ast.walk(test)}
        found = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and id(node) not in skipped]
        names = [(f"{node.module}.{alias.name}", str(node.module)) for node in found for alias in node.names]
        needs[module] = {name if name in modules else package for name, package in names} & modules.keys() - {module}
    assert len(list(graphlib.TopologicalSorter(needs).static_order())) == len(modules)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def test_every_package_is_on_the_map() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    folders = [
        path.parent for path in CODE if path.name == "__init__.py" and path.parent.parent.name in ("converter", "keras")
    ]
    assert [
        relative(folder) for folder in folders if f"`{relative(folder)}`" not in page and folder.name != "keras"
    ] == []


def test_no_framework_is_imported() -> None:
    """Not even inside a function; the comparison with TensorFlow names it only as text, for import_module."""
    assert [relative(path) for path in CODE if imports(path) & FRAMEWORKS] == []
    as_text = [relative(path) for path in CODE if 'import_module("tensorflow")' in path.read_text(encoding="utf-8")]
    assert as_text == ["converter/against_tensorflow/__init__.py"]


def test_onnx_stays_where_it_belongs() -> None:
    strangers = [path for path in CODE if not relative(path).startswith(ONNX_LIVES_IN)]
    assert [relative(path) for path in strangers if imports(path) & {"onnx", "onnxruntime"}] == []


def test_only_the_command_line_prints() -> None:
    printing = [relative(path) for path in CODE if "print" in calls(path)]
    assert [name for name in printing if not name.startswith("converter/cli/")] == []


def test_the_oracle_imports_numpy_alone() -> None:
    for path in CODE:
        if relative(path).startswith("reference_lstm/"):
            assert imports(path) <= {"numpy", "reference_lstm"} | set(sys.stdlib_module_names), relative(path)


@pytest.mark.parametrize("statement", ["import converter", "import converter.cli.main, converter.exporters"])
def test_start_up_loads_nothing_heavy(statement: str) -> None:
    heavy = ["numpy", "onnx", "onnxruntime", "h5py", "msgspec", "rich", "asyncio", "importlib.metadata"]
    code = f"import sys; {statement}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_the_reader_of_function_graphs_is_loaded_for_saved_models_alone(tmp_path: Path) -> None:
    code = f"import sys, converter; converter.convert({str(ROOT / 'fixtures/good/tf215_stack/model.h5')!r}, 'm.onnx'); "
    code += "print([name for name in sys.modules if name.startswith('converter.tensorflow_graph')])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path, env=environment
    )
    assert done.stdout.strip() == "[]"


def test_public_names_resolve_and_unknown_ones_do_not() -> None:
    import converter

    for name in converter.__all__:
        assert getattr(converter, name).__name__.removeprefix("converter.") == name
    assert set(converter.__all__) <= set(dir(converter))
    with pytest.raises(AttributeError):
        _ = converter.nothing


def test_what_plugins_need_is_loaded_when_it_is_named() -> None:
    code = "import sys, converter; print('converter.plugin' in sys.modules, converter.plugin.keras_layer.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "False keras_layer\n"


def test_the_index_of_layers_is_the_one_of_their_rows() -> None:
    assert layer_index.INDEX.read_text(encoding="utf-8") == layer_index.page(), "run `python tests/layer_index.py`"
    names = [name for types in layer_index.rows().values() for name in types]
    aliases = [alias for types in layer_index.rows().values() for row in types.values() for alias in row.aliases]
    assert len({*names, *aliases}) == len([*names, *aliases])


def test_only_the_modules_of_a_files_layers_are_imported() -> None:
    code = (
        "import sys, converter; converter.load('fixtures/good/tf215_stack/model.h5');"
        "print([m for m in sys.modules if m.startswith('converter.keras.operations')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
