"""More spaces of layers: what does nothing at inference, embeddings and masks, heads, and layers around others."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from layer_arguments import ANY, BOOL, KERAS3, QUERIES, SEQUENCE, Space, images, shape

ONLY_3 = frozenset({KERAS3})
RATE = {"rate": st.sampled_from([0.0, 0.3, 0.9])}
LAYERS: Any = st.sampled_from(  # on the last axes of [batch, time, 3] and [batch, time, 5, 3]
    [
        {"class_name": "Dense", "units": 2},
        {"class_name": "Dense", "units": 4, "use_bias": False, "activation": "tanh"},
        {"class_name": "Conv1D", "filters": 2, "kernel_size": 2, "padding": "same"},
        {"class_name": "Dropout", "rate": 0.5},
        {"class_name": "BatchNormalization"},
        {"class_name": "LayerNormalization"},
    ]
)
INNER = st.sampled_from(
    [
        {"class_name": "Flatten"},
        {"class_name": "GlobalMaxPooling1D"},
        {"class_name": "MaxPooling1D", "pool_size": 2},
        {"class_name": "LSTM", "units": 2},
        {"class_name": "GRU", "units": 2, "return_sequences": True, "go_backwards": True},
        {"class_name": "Permute", "dims": (2, 1)},
    ]
)
SPACES: dict[str, Space] = {
    **{name: Space(RATE, ANY) for name in ("Dropout", "AlphaDropout", "GaussianDropout")},
    **{f"SpatialDropout{r}D": Space(RATE, images(r)) for r in (1, 2, 3)},
    "GaussianNoise": Space({"stddev": st.sampled_from([0.1, 2.0])}, ANY),
    "ActivityRegularization": Space({"l1": st.sampled_from([0.0, 0.1]), "l2": st.sampled_from([0.0, 0.1])}, ANY),
    "Embedding": Space(
        {"input_dim": st.just(12), "output_dim": st.integers(1, 4), "mask_zero": BOOL}, shape(st.integers(1, 4)),
        integers=12,
    ),
    "ReversibleEmbedding": Space(
        {"input_dim": st.just(12), "output_dim": st.integers(1, 4), "tie_weights": BOOL, "mask_zero": BOOL},
        shape(st.integers(1, 4)), ONLY_3, integers=12,
    ),
    "Masking": Space({"mask_value": st.sampled_from([0.0, 1.0, -4.2])}, SEQUENCE, values=(0.0, 1.0, -4.2, 0.5)),
    "MultiHeadAttention": Space(
        {
            "num_heads": st.integers(1, 3), "key_dim": st.integers(1, 3), "value_dim": st.none() | st.integers(1, 3),
            "output_shape": st.none() | st.integers(1, 4), "use_bias": BOOL, "dropout": st.sampled_from([0.0, 0.3]),
        },
        QUERIES, apart=True, refused="the bias of shape",
    ),
    "GroupQueryAttention": Space(
        {
            "head_dim": st.integers(1, 3), "num_query_heads": st.sampled_from([2, 4]),
            "num_key_value_heads": st.integers(1, 2), "use_bias": BOOL,
        },
        QUERIES, ONLY_3, apart=True, refused="the bias of shape",
    ),
    "SpectralNormalization": Space(  # tf_keras 2.21 cannot build one
        {"layer": LAYERS, "power_iterations": st.integers(1, 2)}, SEQUENCE, ONLY_3
    ),
    "Pipeline": Space({"layers": st.lists(LAYERS, min_size=1, max_size=3)}, shape(st.integers(2, 4), 3), ONLY_3),
    "TimeDistributed": Space({"layer": LAYERS | INNER}, shape(st.integers(1, 3), 5, 3)),
}  # fmt: skip
