"""What each Keras layer can be asked for: strategies of its arguments and of the shapes it is called on."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from layer_arguments import (
    ACTIVATION,
    ANY,
    BOOL,
    BOTH,
    COLORS,
    CUBES,
    EITHER_WAY,
    EXTRA,
    FACTOR,
    FACTORS,
    FILTERS,
    FIRST,
    FORMAT,
    INTERPOLATION,
    KERAS3,
    NORMS,
    ONLY_2,
    ONLY_3,
    QUERIES,
    SEQUENCE,
    SMALL,
    TF_KERAS,
    WIDE,
    Space,
    amounts,
    axes,
    images,
    pairs,
    pools,
    shape,
    windows,
)

AUGMENTATIONS: dict[str, tuple[dict[str, Any], frozenset[str]]] = {  # arguments do nothing: a few will do
    **{name: (FACTOR, BOTH) for name in ("RandomBrightness", "RandomContrast", "RandomRotation")},
    **{name: (FACTOR, ONLY_2) for name in ("RandomHeight", "RandomWidth")},
    **{
        name: (FACTOR, ONLY_3)
        for name in (
            "RandomColorDegeneration", "RandomErasing", "RandomGaussianBlur", "RandomGrayscale", "RandomHue",
            "RandomInvert", "RandomPerspective", "RandomSaturation", "RandomSharpness",
        )
    },
    **{
        name: ({}, ONLY_3)
        for name in (
            "AugMix", "CutMix", "MixUp", "RandAugment", "RandomElasticTransform", "RandomShear", "Solarization",
        )
    },
    "RandomFlip": ({"mode": st.sampled_from(["horizontal", "vertical"])}, BOTH),
    "RandomTranslation": (FACTORS, BOTH),
    "RandomZoom": ({**FACTORS, "fill_mode": st.sampled_from(["reflect", "wrap", "constant", "nearest"])}, BOTH),
    "RandomPosterization": ({"factor": st.integers(1, 8)}, ONLY_3),
    "RandomColorJitter": ({"brightness_factor": st.just(0.3), "hue_factor": st.just(0.2)}, ONLY_3),
    "MaxNumBoundingBoxes": ({"max_number": st.just(3)}, ONLY_3),
}  # fmt: skip
WORDS = ["a", "b", "c", "d", "ab", "its", "\u00e9t\u00e9", "x y", "abcdef"]
ENCODED = {
    "output_mode": st.sampled_from(["int", "int", "one_hot", "multi_hot", "count", "tf_idf"]),
    "idf_weights": st.sampled_from([None, [0.5, 2.0, 1.25, 3.0]]), "max_tokens": st.sampled_from([None, 9]),
    "pad_to_max_tokens": BOOL,
}  # fmt: skip
SPACES: dict[str, Space] = {
    "Dense": Space({"units": st.integers(1, 5), "activation": ACTIVATION, "use_bias": BOOL}, ANY),
    "Activation": Space({"activation": ACTIVATION}, ANY),
    "ReLU": Space({"max_value": st.none() | SMALL, "negative_slope": SMALL, "threshold": SMALL}, ANY),
    "LeakyReLU": Space({"negative_slope": SMALL}, ANY, renamed={"negative_slope": "alpha"}),
    "ELU": Space({"alpha": SMALL}, ANY),
    "ThresholdedReLU": Space({"theta": SMALL}, ANY, frozenset({TF_KERAS})),
    "Softmax": Space({"axis": st.sampled_from([-1, 1, [1], [1, 2], -2])}, SEQUENCE),
    "PReLU": Space({"shared_axes": st.sampled_from([None, [1], [2], [1, 2]])}, SEQUENCE),
    "BatchNormalization": Space(
        {"axis": st.integers(-2, 2) | st.sampled_from([[1, 2], [2, 3], [1, 3]]), "renorm": BOOL, **NORMS},
        SEQUENCE | images(2),
        lacks={TF_KERAS: {"renorm"}},
    ),
    "LayerNormalization": Space({"axis": axes(2), **NORMS}, WIDE),
    "Flatten": Space({"data_format": FORMAT}, ANY),
    "Reshape": Space({"target_shape": st.sampled_from([(-1,), (6, 2), (3, -1), (2, 3, -1)])}, shape(4, 3)),
    "Permute": Space({"dims": st.permutations([1, 2, 3]).map(tuple)}, shape(2, 3, 4)),
    "RepeatVector": Space({"n": st.integers(1, 4)}, shape(st.integers(1, 4))),
    "Concatenate": Space({"axis": st.sampled_from([-1, 1, 2])}, st.just([(4, 3), (4, 3)])),
    **{name: Space({}, pairs(2)) for name in ("Subtract",)},
    **{
        name: Space({}, st.integers(2, 3).flatmap(pairs))
        for name in ("Add", "Multiply", "Average", "Maximum", "Minimum")
    },
    "Dot": Space(
        {"axes": st.sampled_from([-1, 1, 2, (1, 1), (2, 1), (1, 2)]), "normalize": BOOL},
        st.sampled_from([[(4,), (4,)], [(3, 4), (4,)], [(4, 4), (4, 4)], [(4, 3), (3, 4)], [(2, 3, 4), (5, 4)]]),
        closed="too many open sizes",
    ),
    **{f"{kind}Pooling{r}D": Space(pools(r), images(r), lacks=FIRST) for kind in ("Max", "Average") for r in (1, 2, 3)},
    **{
        f"Global{kind}Pooling{r}D": Space({"data_format": FORMAT, "keepdims": BOOL}, images(r))
        for kind in ("Max", "Average")
        for r in (1, 2, 3)
    },
    **{
        f"Conv{r}D": Space(windows(r, r == 1, filters=FILTERS, groups=st.integers(1, 2)), images(r), **EITHER_WAY)
        for r in (1, 2, 3)
    },
    **{
        f"DepthwiseConv{r}D": Space(windows(r, depth_multiplier=st.integers(1, 2)), images(r), **EITHER_WAY)
        for r in (1, 2)
    },
    **{
        f"SeparableConv{r}D": Space(
            windows(r, r == 1, filters=FILTERS, depth_multiplier=st.integers(1, 2)), images(r), **EITHER_WAY
        )
        for r in (1, 2)
    },
    **{
        f"Conv{r}DTranspose": Space(windows(r, filters=FILTERS, output_padding=EXTRA), images(r), **EITHER_WAY)
        for r in (1, 2, 3)
    },
    **{
        f"Cropping{r}D": Space({"cropping": amounts(r, 1), **({"data_format": FORMAT} if r > 1 else {})}, CUBES[r])
        for r in (1, 2, 3)
    },
    **{
        f"ZeroPadding{r}D": Space({"padding": amounts(r, 2), **({"data_format": FORMAT} if r > 1 else {})}, images(r))
        for r in (1, 2, 3)
    },
    "UpSampling1D": Space({"size": st.integers(1, 3)}, images(1)),
    **{
        f"UpSampling{r}D": Space(
            {
                "size": st.integers(1, 3) | st.tuples(*[st.integers(1, 2)] * r).map(list), "data_format": FORMAT,
                **({"interpolation": INTERPOLATION} if r == 2 else {}),
            },
            images(r),
            closed="of open size|open number of channels" if r == 2 else "",
        )
        for r in (2, 3)
    },
    "Resizing": Space(
        {
            "height": st.integers(1, 12), "width": st.integers(1, 12), "interpolation": INTERPOLATION,
            "crop_to_aspect_ratio": BOOL, "pad_to_aspect_ratio": BOOL, "fill_value": st.sampled_from([0.0, 0.5]),
            "antialias": BOOL, "data_format": FORMAT,
        },
        images(2),
        lacks={TF_KERAS: {"pad_to_aspect_ratio", "fill_value", "antialias", "data_format"}},
        closed="of open size",
    ),
    "CenterCrop": Space(
        {"height": st.integers(1, 8), "width": st.integers(1, 8), "data_format": FORMAT},
        images(2),
        lacks=FIRST,
        closed="of open size",
    ),
    **{
        f"LocallyConnected{r}D": Space(
            {
                "filters": FILTERS, "kernel_size": st.integers(1, 3) | st.tuples(*[st.integers(1, 3)] * r).map(list),
                "strides": st.integers(1, 3), "padding": st.sampled_from(["valid", "same"]), "use_bias": BOOL,
                "implementation": st.integers(1, 3), "data_format": FORMAT, "activation": ACTIVATION,
            },
            images(r),
            frozenset({TF_KERAS}),
        )
        for r in (1, 2)
    },
    **{
        f"Adaptive{kind}Pooling{r}D": Space(
            {"output_size": st.integers(2, 4), "data_format": FORMAT}, CUBES[r], frozenset({KERAS3}),
            closed="over an open axis",
        )
        for kind in ("Average", "Max")
        for r in (1, 2, 3)
    },
    **{name: Space(arguments, COLORS, libraries) for name, (arguments, libraries) in AUGMENTATIONS.items()},
    "AutoContrast": Space(
        {"value_range": st.sampled_from([(0, 255), (0, 1), (-1.5, 2), (1, 0)]), "data_format": FORMAT}, COLORS, ONLY_3
    ),
    "RandomCrop": Space(
        {"height": st.integers(1, 8), "width": st.integers(1, 8)}, images(2), frozenset({TF_KERAS}),
        closed="of open size",
    ),
    "STFTSpectrogram": Space(
        {
            "mode": st.sampled_from(["log", "magnitude", "psd", "real", "imag", "stft"]),
            "frame_length": st.integers(4, 12), "frame_step": st.none() | st.integers(1, 4),
            "fft_length": st.sampled_from([None, 12, 16]), "window": st.none(),  # by name it needs SciPy
            "scaling": st.sampled_from([None, "density", "spectrum"]), "expand_dims": BOOL,
            "padding": st.sampled_from(["valid", "same"]), "data_format": FORMAT,
        },
        st.tuples(st.integers(12, 30), st.integers(1, 3)).map(lambda s: [s]) | shape(2, st.integers(12, 30)),
        frozenset({KERAS3}),
    ),
    "MelSpectrogram": Space(
        {
            "fft_length": st.sampled_from([16, 32]), "sequence_stride": st.integers(3, 16),
            "sequence_length": st.none() | st.integers(9, 16), "window": st.sampled_from(["hann", "hamming", None]),
            "sampling_rate": st.sampled_from([16000, 8000]), "num_mel_bins": st.integers(2, 6),
            "min_freq": st.sampled_from([20.0, 100.0]), "max_freq": st.sampled_from([None, 3000.0]),
            "power_to_db": BOOL, "top_db": st.sampled_from([80.0, 10.0]), "mag_exp": st.sampled_from([1.0, 2.0, 3.0]),
            "min_power": st.sampled_from([1e-10, 0.1]), "ref_power": st.sampled_from([1.0, 3.0]),
        },
        shape(st.integers(33, 60)),
        frozenset({KERAS3}),
    ),
    "GroupNormalization": Space(
        {"groups": st.sampled_from([1, 2, 4, -1]), "axis": st.sampled_from([-1, 1, 2]), **NORMS}, shape(4, 2, 4),
        closed="several open sizes",
    ),
    "RMSNormalization": Space({"axis": axes(2), "epsilon": NORMS["epsilon"]}, WIDE, frozenset({KERAS3})),
    "UnitNormalization": Space({"axis": axes(2)}, WIDE),
    "EinsumDense": Space(
        {
            "equation": st.just("abc,cd->abd"), "output_shape": st.just((None, 5)), "activation": ACTIVATION,
            "bias_axes": st.sampled_from([None, "d"]),
        },
        shape(4, 3),
    ),
    "Attention": Space(
        {"use_scale": BOOL, "score_mode": st.sampled_from(["dot", "concat"])}, QUERIES
    ),
    "AdditiveAttention": Space({"use_scale": BOOL}, QUERIES),
    "Identity": Space({}, ANY),
    "Rescaling": Space({"scale": SMALL, "offset": SMALL}, ANY),
    "Normalization": Space(
        {"axis": st.sampled_from([-1, 1, None, (1, 2)]), "mean": st.just(0.3), "variance": st.just(2), "invert": BOOL},
        WIDE,
    ),
    "Discretization": Space(
        {
            "bin_boundaries": st.lists(st.floats(-2, 2, width=16), min_size=1, max_size=4, unique=True).map(sorted),
            "output_mode": st.sampled_from(["int", "one_hot", "multi_hot", "count"]),
        },
        shape(st.integers(1, 3)),
    ),
    "CategoryEncoding": Space(
        {"num_tokens": st.just(6), "output_mode": st.sampled_from(["one_hot", "multi_hot", "count"])},
        shape(st.integers(1, 3)),
        integers=6,
    ),
    "IntegerLookup": Space(
        {
            "vocabulary": st.permutations(range(1, 9)).map(lambda words: sorted(words[:4])), "invert": BOOL,
            "mask_token": st.sampled_from([None, 0]), "num_oov_indices": st.integers(0, 3),
            "oov_token": st.sampled_from([-1, 11]), **ENCODED,
        },
        shape(st.integers(1, 3)),
        integers=12,
    ),
    "StringLookup": Space(
        {
            "vocabulary": st.permutations(WORDS).map(lambda words: words[:4]), "num_oov_indices": st.integers(0, 1),
            "mask_token": st.sampled_from([None, "", "mask"]), "oov_token": st.sampled_from(["[UNK]", "?"]), **ENCODED,
        },
        shape(st.integers(1, 3)),
        texts=(*WORDS, "", "mask", "[UNK]", "A", "\u00c9t\u00e9"),
    ),
    "TextVectorization": Space(
        {
            "vocabulary": st.permutations(WORDS).map(lambda words: words[:4]),
            **ENCODED, "output_mode": st.sampled_from(["int", "int", "multi_hot", "count", "tf_idf"]),
            "standardize": st.sampled_from([None, "lower", "strip_punctuation", "lower_and_strip_punctuation"]),
            "split": st.sampled_from([None, "whitespace", "whitespace"]),
            "output_sequence_length": st.sampled_from([None, 1, 3, 9]),
        },
        st.sampled_from([[(1,)], [(1,)], [(3,)]]),
        texts=(
            *WORDS, "", " ", "\t\n", "a  B c", " b\ta ", "!a?b", "A.b,C;d", "a.b!c-d--ef", "a\tb\tc\td\nab\rits",
            "no\x0bone\x0c", "\u00c9t\u00e9 \u00e9t\u00e9 a\u00a0b",
            "[UNK] a-b it's \\ ` ~ _ {a} (b) <c> \"d\" #@$%^&*+=|/[]", "\u2003a\u2003 b\x1cc \r\n d", "a " * 12,
        ),
        opset=20,
    ),
}  # fmt: skip
