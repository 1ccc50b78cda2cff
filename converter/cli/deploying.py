"""Options that say what an exported file is for: a runtime, fixed sizes."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from converter.errors import Unsupported, clean

if TYPE_CHECKING:
    from converter.model.sizes import Sizes

QUANTIZED = ("int8", "float16")  # of exporters/onnx/quantize.py
RUNTIMES = ("onnxruntime", "openvino", "reference", "tract", "c")  # the rows of exporters/onnx/runtimes.py


def declare(parser: argparse.ArgumentParser) -> None:
    """--opset, --runtime, --quantize, --batch, --steps, --shape."""
    group = parser.add_argument_group("what the file is for")
    group.add_argument("--opset", type=int, metavar="N", help="ONNX operator set (default: 13, or what is needed)")
    group.add_argument("--runtime", choices=RUNTIMES, default="", help="what is right there (default: onnxruntime)")
    smaller = "smaller weights; outputs may be off by --tolerance (default: 0.05), which is measured"
    group.add_argument("--quantize", choices=QUANTIZED, default="", help=smaller)
    group.add_argument("--batch", metavar="N", default="", help='fix the batch size; "keep" takes the one in the file')
    group.add_argument("--steps", metavar="T", type=_positive, help="fix the length of axis 1 where it is open")
    group.add_argument(
        "--shape", metavar="INPUT=1,50,3", action="append", default=[], help="fix the whole shape of an input"
    )


def sizes_of(arguments: argparse.Namespace) -> Sizes | None:
    """What the options fix; None where they fix nothing.

    Raises:
        Unsupported: an option says nothing that could be meant.
    """
    if not (arguments.batch or arguments.steps or arguments.shape):
        return None
    from converter.model.sizes import Sizes

    batch = "keep" if arguments.batch == "keep" else _number("--batch", arguments.batch) if arguments.batch else None
    return Sizes(batch, arguments.steps, dict(_shape(text) for text in arguments.shape))  # type: ignore[arg-type]


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, equals, sizes = text.rpartition("=")
    if not equals or not name:
        raise Unsupported(f"--shape {clean(text)}", hint="it is INPUT=1,50,3")
    return name, tuple(_number("--shape", size) for size in sizes.split(","))


def _number(option: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:10]) > 0 and len(text) < 10):
        raise Unsupported(f"{option} {clean(text)}", hint="sizes are whole numbers from 1 on")
    return int(text)


def _positive(text: str) -> int:
    try:
        return _number("--steps", text)
    except Unsupported as error:
        raise argparse.ArgumentTypeError(str(error)) from error
