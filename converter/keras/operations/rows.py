"""What a row of the tables of operations says, and the rows that several vocabularies have under names of their own."""

from __future__ import annotations

from collections.abc import Mapping
from math import pi
from typing import NamedTuple

from converter.keras.operations import arithmetic, functions, reductions, shapes


class Op(NamedTuple):
    """A function and the names its arguments have, in the order of its parameters; `_` is one that nobody gives.

    `fixed` are arguments that only this value is supported for.
    """

    function: functions.Function
    names: str = "x"
    fixed: Mapping[str, object] = {}


# By the names of Keras 3's classes.
BINARY: Mapping[str, functions.Function] = {
    "Add": functions.binary("add"),
    "Subtract": functions.binary("subtract"),
    "Multiply": functions.binary("multiply"),
    "Divide": functions.divide,
    "TrueDivide": functions.divide,
    "DivideNoNan": functions.divide_no_nan,
    "FloorDivide": functions.binary("floor_divide"),
    "Power": functions.binary("power"),
    "Mod": arithmetic.modulo,
    "Maximum": functions.binary("maximum"),
    "Minimum": functions.binary("minimum"),
    "Equal": functions.compared("equal"),
    "NotEqual": functions.compared("not_equal"),
    "Less": functions.compared("less"),
    "LessEqual": functions.compared("less_equal"),
    "Greater": functions.compared("greater"),
    "GreaterEqual": functions.compared("greater_equal"),
    "LogicalAnd": functions.logical("and"),
    "LogicalOr": functions.logical("or"),
    "LogicalXor": functions.logical("xor"),
    "Arctan2": arithmetic.arctan2,
    "Fmax": arithmetic.nan_aside("maximum"),
    "Fmin": arithmetic.nan_aside("minimum"),
    "Fmod": arithmetic.remainder,
    "Heaviside": arithmetic.heaviside,
    "Hypot": arithmetic.hypotenuse,
    "Logaddexp": arithmetic.log_add(),
    "Logaddexp2": arithmetic.log_add(2.0),
}
UNARY: Mapping[str, functions.Function] = {
    "Absolute": arithmetic.absolute,
    "Abs": arithmetic.absolute,
    "Negative": functions.unary("negative"),
    "Exp": functions.unary("exp"),
    "Log": functions.unary("log"),
    "Sqrt": functions.unary("sqrt"),
    "Rsqrt": functions.unary("rsqrt"),
    "Square": arithmetic.square,
    "Sin": functions.unary("sin"),
    "Cos": functions.unary("cos"),
    "Tan": functions.unary("tan"),
    "Sign": functions.unary("sign"),
    "Floor": functions.unary("floor"),
    "Ceil": functions.unary("ceil"),
    "Reciprocal": functions.unary("reciprocal"),
    "Erf": functions.unary("erf"),
    "Sinh": functions.unary("sinh"),
    "Cosh": functions.unary("cosh"),
    "Arcsin": functions.unary("arcsin"),
    "Arccos": functions.unary("arccos"),
    "Arctan": functions.unary("arctan"),
    "Arcsinh": functions.unary("arcsinh"),
    "Arccosh": functions.unary("arccosh"),
    "Arctanh": functions.unary("arctanh"),
    "Expm1": functions.unary("expm1"),
    "Log1p": functions.unary("log1p"),
    "Log10": arithmetic.logarithm(10),
    "Log2": arithmetic.logarithm(2),
    "Exp2": arithmetic.exp2,
    "Cbrt": arithmetic.cube_root,
    "Deg2rad": arithmetic.scaled(pi / 180),
    "Rad2deg": arithmetic.scaled(180 / pi),
    "Sinc": arithmetic.sinc,
    "Trunc": arithmetic.truncate,
    "Signbit": arithmetic.sign_bit,
    "Isnan": functions.unary("isnan"),
    "Isinf": arithmetic.infinite(),
    "Isposinf": arithmetic.infinite(1),
    "Isneginf": arithmetic.infinite(-1),
    "Isfinite": arithmetic.finite,
    "LogicalNot": functions.logical_not,
    "Copy": shapes.copy,
    "StopGradient": shapes.copy,
    "Tanh": functions.activation("tanh"),
    "Sigmoid": functions.activation("sigmoid"),
    "Relu": functions.relu,
    "Silu": functions.activation("silu"),
    "Relu6": functions.activation("relu", 0.0, 6.0, 0.0),
    "Softplus": functions.activation("softplus"),
    "Softsign": functions.activation("softsign"),
    "Selu": functions.activation("selu"),
    "LogSigmoid": functions.activation("log_sigmoid"),
    "HardSigmoid": functions.activation("hard_sigmoid", 1 / 6, 0.5),
    "HardSilu": functions.activation("hard_silu"),
    "HardTanh": functions.activation("hard_tanh"),
    "TanhShrink": functions.activation("tanh_shrink"),
    "SparsePlus": functions.activation("sparse_plus"),
    "SparseSigmoid": functions.activation("hard_sigmoid", 0.5, 0.5),
}
REDUCTIONS: Mapping[str, functions.Function] = {
    "Mean": reductions.reduction("mean"),
    "Sum": reductions.reduction("sum"),
    "Prod": reductions.reduction("prod"),
    "Any": reductions.reduction("any"),
    "All": reductions.reduction("all"),
    "Max": reductions.reduction("max"),
    "Min": reductions.reduction("min"),
    "Var": reductions.variance,
    "Std": reductions.deviation,
    "Logsumexp": reductions.reduction("logsumexp"),
}
