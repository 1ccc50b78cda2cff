"""What a row of the tables of operations says, and the rows that several vocabularies have under names of their own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from converter.keras.operations import functions as f
from converter.keras.operations import math as m
from converter.keras.operations import reductions as r
from converter.keras.operations import shapes as s


class Op(NamedTuple):
    """A function and the names its arguments have, in the order of its parameters; `_` is one that nobody gives.

    `fixed` are arguments that only this value is supported for.
    """

    function: f.Function
    names: str = "x"
    fixed: Mapping[str, object] = {}


# By the names of Keras 3's classes.
BINARY: Mapping[str, f.Function] = {
    "Add": f.binary("add"), "Subtract": f.binary("subtract"), "Multiply": f.binary("multiply"), "Divide": f.divide,
    "TrueDivide": f.divide, "DivideNoNan": f.divide_no_nan, "FloorDivide": f.binary("floor_divide"),
    "Power": f.binary("power"), "Mod": m.modulo, "Maximum": f.binary("maximum"), "Minimum": f.binary("minimum"),
    "Equal": f.compared("equal"), "NotEqual": f.compared("not_equal"), "Less": f.compared("less"),
    "LessEqual": f.compared("less_equal"), "Greater": f.compared("greater"),
    "GreaterEqual": f.compared("greater_equal"),
    "LogicalAnd": f.logical("and"), "LogicalOr": f.logical("or"), "LogicalXor": f.logical("xor"),
    "Arctan2": m.arctan2, "Fmax": m.nan_aside("maximum"), "Fmin": m.nan_aside("minimum"), "Fmod": m.remainder,
    "Heaviside": m.heaviside, "Hypot": m.hypotenuse, "Logaddexp": m.log_add(), "Logaddexp2": m.log_add(2.0),
}  # fmt: skip
UNARY: Mapping[str, f.Function] = {
    "Absolute": m.absolute, "Abs": m.absolute, "Negative": f.unary("negative"), "Exp": f.unary("exp"),
    "Log": f.unary("log"), "Sqrt": f.unary("sqrt"), "Rsqrt": f.unary("rsqrt"), "Square": m.square,
    "Sin": f.unary("sin"), "Cos": f.unary("cos"), "Tan": f.unary("tan"), "Sign": f.unary("sign"),
    "Floor": f.unary("floor"), "Ceil": f.unary("ceil"), "Reciprocal": f.unary("reciprocal"), "Erf": f.unary("erf"),
    "Sinh": f.unary("sinh"), "Cosh": f.unary("cosh"), "Arcsin": f.unary("arcsin"), "Arccos": f.unary("arccos"),
    "Arctan": f.unary("arctan"), "Arcsinh": f.unary("arcsinh"), "Arccosh": f.unary("arccosh"),
    "Arctanh": f.unary("arctanh"), "Expm1": f.unary("expm1"), "Log1p": f.unary("log1p"), "Log10": m.logarithm(10),
    "Log2": m.logarithm(2), "Exp2": m.exp2, "Cbrt": m.cube_root, "Deg2rad": m.scaled(math.pi / 180),
    "Rad2deg": m.scaled(180 / math.pi), "Sinc": m.sinc, "Trunc": m.truncate, "Signbit": m.sign_bit,
    "Isnan": f.unary("isnan"), "Isinf": m.infinite(), "Isposinf": m.infinite(1), "Isneginf": m.infinite(-1),
    "Isfinite": m.finite, "LogicalNot": f.logical_not, "Copy": s.copy, "StopGradient": s.copy,
    "Tanh": f.activation("tanh"), "Sigmoid": f.activation("sigmoid"), "Relu": f.relu, "Silu": f.activation("silu"),
    "Relu6": f.activation("relu", 0.0, 6.0, 0.0), "Softplus": f.activation("softplus"),
    "Softsign": f.activation("softsign"), "Selu": f.activation("selu"), "LogSigmoid": f.activation("log_sigmoid"),
    "HardSigmoid": f.activation("hard_sigmoid", 1 / 6, 0.5), "HardSilu": f.activation("hard_silu"),
    "HardTanh": f.activation("hard_tanh"), "TanhShrink": f.activation("tanh_shrink"),
    "SparsePlus": f.activation("sparse_plus"), "SparseSigmoid": f.activation("hard_sigmoid", 0.5, 0.5),
}  # fmt: skip
REDUCTIONS: Mapping[str, f.Function] = {
    "Mean": r.reduction("mean"), "Sum": r.reduction("sum"), "Prod": r.reduction("prod"), "Any": r.reduction("any"),
    "All": r.reduction("all"), "Max": r.reduction("max"), "Min": r.reduction("min"), "Var": r.variance,
    "Std": r.deviation, "Logsumexp": r.reduction("logsumexp"),
}  # fmt: skip
