"""Exported models in a browser: the page of examples/web and the snippet of docs/deploying.md, with onnxruntime-web."""

from __future__ import annotations

import html
import json
import re
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from chromium import chromium, needed
from test_cli import MODEL, ROOT

from converter import convert, interpret, load

WEB = ROOT / "examples/web"
LAST = ROOT / "fixtures/good/k3151_last/model.keras"
DIST = "node_modules/onnxruntime-web/dist"
ANSWERS = ["--virtual-time-budget=30000", "--dump-dom"]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """The files that examples/web/README.md lists and no others, as a server delivers them."""
    folder = tmp_path_factory.mktemp("web")
    listed = re.findall(r"^\| (.*?) \|", (WEB / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    for name in re.findall(r"`([^`]+)`", " ".join(listed)):
        if name != "model.onnx":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(WEB / name, folder / name)
    convert(MODEL, folder / "model.onnx", check=False)
    convert(LAST, folder / "stream.onnx", check=False, stateful=True)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


pytestmark = [
    needed,
    pytest.mark.skipif(not (WEB / DIST).is_dir(), reason="needs `npm install` in examples/web"),
]


def numbers(page: str) -> np.ndarray:
    return np.array(json.loads(html.unescape(re.search(r'<pre id="numbers">(.*?)</pre>', page)[1])))


def test_states_are_fed_back(site: tuple[Path, str], tmp_path: Path) -> None:
    done = chromium(f"{site[1]}/index.html?model=stream.onnx", tmp_path, *ANSWERS)
    assert "CONSOLE" not in done.stderr
    assert "40 calls, 2 states fed back" in done.stdout
    x = np.array([[[np.sin(t / 4 + k) for k in range(3)] for t in range(40)]], np.float32)
    model = load(LAST)
    want = [interpret.run(model, {model.inputs[0].name: x[:, : t + 1]})[model.outputs[0].name][0] for t in (0, 7, 39)]
    np.testing.assert_allclose(numbers(done.stdout)[[0, 7, 39]], want, atol=1e-6)


def test_a_model_without_states_and_its_picture(site: tuple[Path, str], tmp_path: Path) -> None:
    done = chromium(f"{site[1]}/index.html", tmp_path, *ANSWERS)
    assert "CONSOLE" not in done.stderr
    session = onnxruntime.InferenceSession(site[0] / "model.onnx", providers=["CPUExecutionProvider"])
    x = np.sin(np.arange(15, dtype=np.float32)).reshape(1, 5, 3)
    (want,) = session.run(None, {session.get_inputs()[0].name: x})
    np.testing.assert_allclose(numbers(done.stdout), want, atol=1e-6)


def test_the_snippet_of_the_docs(site: tuple[Path, str], tmp_path: Path) -> None:
    text = (ROOT / "docs/deploying.md").read_text(encoding="utf-8")
    (site[0] / "snippet.html").write_text("<body>" + re.search(r"```html\n(.*?)```", text, re.DOTALL)[1])
    done = chromium(f"{site[1]}/snippet.html", tmp_path, *ANSWERS)
    session = onnxruntime.InferenceSession(site[0] / "model.onnx", providers=["CPUExecutionProvider"])
    (want,) = session.run(None, {session.get_inputs()[0].name: np.full((1, 5, 3), 0.5, np.float32)})
    said = re.search(r"</script>\s*([\d. e-]+)", done.stdout)[1].split()
    np.testing.assert_allclose(np.array(said, float), want[0], atol=1e-6)
