"""Which Keras wrote a file, and what that changes: one table of switches by version."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Family = Literal["keras", "tf.keras", "keras3"]


@dataclass(frozen=True)
class Era:
    """A Keras version as far as meaning depends on it.

    Attributes:
        family: "keras" (multi-backend Keras 1 and 2), "tf.keras" (with tf_keras and Keras 2.4+, which are the same
            code), or "keras3".
        version: of Keras, e.g. (2, 2, 4).
        backend: "tensorflow", "theano", ... or "" where the file is silent.
        later: for versions that two releases of TensorFlow write, whether the file is of the later one: "2.2.4-tf" of
            TF 1.13 and 1.15, or of 2.0; "2.3.0-tf" of TF 2.1.4, or of 2.2.
        ragged: whether InputLayers say if they are ragged, as they do since TF 1.15; None where there is no InputLayer.
    """

    family: Family
    version: tuple[int, int, int]
    backend: str = ""
    later: bool = False
    ragged: bool | None = None

    @property
    def major(self) -> int:
        """1, 2 or 3."""
        return max(1, self.version[0])

    @property
    def key(self) -> tuple[int, int, int]:
        """The version as the table of switches sorts it: the later of two that are written alike counts one more."""
        major, minor, patch = self.version
        return (major, minor, patch + self.later)

    def switch(self, name: str) -> Any:
        """The value of a switch for this version: the last row at or below it."""
        return [value for since, value, _ in SWITCHES[name][self.family] if since <= self.key][-1]

    def __str__(self) -> str:
        name = {"keras": "Keras", "tf.keras": "tf.keras", "keras3": "Keras"}[self.family]
        return f"{name} {'.'.join(map(str, self.version))}"


_ALWAYS = (0, 0, 0)
_TF2 = (2, 2, 5)  # see Era.key
Rows = tuple[tuple[tuple[int, int, int], Any, str], ...]

# name -> family -> rows (since version, value, evidence). Evidence: a fixture or corpus case computed by that version.
SWITCHES: Mapping[str, Mapping[Family, Rows]] = {
    "recurrent_activation": {  # default of LSTM and GRU
        "keras": ((_ALWAYS, "hard_sigmoid", "keras 1.2.2, 2.2.4 source"), ((2, 3, 0), "sigmoid", "keras 2.3.1")),
        "tf.keras": ((_ALWAYS, "hard_sigmoid", "TF 1.15"), (_TF2, "sigmoid", "TF 2.0")),
        "keras3": ((_ALWAYS, "sigmoid", "keras 3.15.1"),),
    },
    "convlstm_recurrent_activation": {
        "keras": ((_ALWAYS, "hard_sigmoid", "u_convlstm2d of 2.2.4"),),
        "tf.keras": ((_ALWAYS, "hard_sigmoid", "u_convlstm2d of TF 2.15"),),
        "keras3": ((_ALWAYS, "sigmoid", "u_convlstm2d of 3.15.1"),),
    },
    "reset_after": {  # default of GRU
        "keras": ((_ALWAYS, False, "n_gru of 2.2.4"),),
        "tf.keras": ((_ALWAYS, False, "n_gru of TF 1.15"), (_TF2, True, "n_gru of TF 2.6")),
        "keras3": ((_ALWAYS, True, "n_gru of 3.15.1"),),
    },
    "masked_output": {  # of a recurrent layer by itself: what a masked step puts out
        "keras": (
            (_ALWAYS, "state", "h2_stateful_mask of 1.2.2 and 2.2.4"),
            ((2, 2, 5), "previous", "keras 2.2.5, run; h2_stateful_mask of 2.3.1"),
        ),
        "tf.keras": (
            (_ALWAYS, "state", "TF 1.12, run: python/keras/backend.py"),
            ((2, 2, 4), "previous", "TF 1.13, run; h2_stateful_mask of TF 1.15, 2.6, 2.15"),
        ),
        "keras3": ((_ALWAYS, "previous", "h2_stateful_mask of 3.15.1"),),
    },
    "bidirectional_zero_output": {  # whether it sets zero_output_for_mask of the wrapped layers to return_sequences
        "keras": ((_ALWAYS, False, "e4_masking_bi_seq of 1.2.2, 2.2.4, 2.3.1"),),
        "tf.keras": (
            (_ALWAYS, False, "TF 1.12, run: no such argument"),
            ((2, 2, 4), None, "maskbilast of TF 1.13, which sets it to True; of TF 1.14, 1.15: see Era.ragged"),
            (_TF2, True, "e4_masking_bi_seq of TF 2.3 to 2.15; maskfused of TF 2.0 to 2.2"),
        ),
        "keras3": ((_ALWAYS, True, "e4_masking_bi_seq of 3.15.1"),),
    },
    "fused_zero_output": {  # whether an LSTM or GRU that a GPU could run fused heeds zero_output_for_mask
        "keras": ((_ALWAYS, True, "no such argument before 2.3, and no fused run"),),
        "tf.keras": (
            (_ALWAYS, True, "e4_masking_bi_seq of TF 1.13, 1.15"),
            (_TF2, False, "maskfused of TF 2.0, 2.1: standard_lstm of recurrent_v2.py lacks it"),
            ((2, 3, 1), True, "maskfused of TF 2.2, e4_masking_bi_seq of TF 2.3"),
        ),
        "keras3": ((_ALWAYS, True, "e3_zero_output_for_mask of 3.15.1"),),
    },
    "convlstm_zero_output": {  # whether ConvLSTMs heed zero_output_for_mask, which Bidirectional sets
        "keras": ((_ALWAYS, False, "no such argument"),),
        "tf.keras": ((_ALWAYS, False, "tf_keras 2.21: ConvRNN does not pass it on"),),
        "keras3": ((_ALWAYS, True, "keras 3.15.1"),),
    },
    "mask_value_single": {  # whether Masking compares in float32 at least, its value made a float32 first
        "keras": ((_ALWAYS, False, "keras/layers/core.py of 2.2.4: K.not_equal"),),
        "tf.keras": ((_ALWAYS, False, "tf_keras 2.21, run in float16, mixed_float16, float64"),),
        "keras3": (
            (_ALWAYS, True, "keras 3.15.1, run in float64, mixed_bfloat16: ops.not_equal"),
        ),
    },
    "relu_passes_mask": {  # the ReLU layer; before it did, the mask was dropped without a word
        "keras": ((_ALWAYS, True, "keras/layers/advanced_activations.py of 2.2.4, 2.3.1"),),
        "tf.keras": (
            (_ALWAYS, False, "maskrelu of TF 1.15, 2.1, 2.2; to TF 2.4 it says `support_masking`"),
            ((2, 5, 0), True, "maskrelu of TF 2.6; keras-nightly 2.5"),
        ),
        "keras3": ((_ALWAYS, True, "keras 3.3.3, 3.10.0, 3.15.1"),),
    },
    "time_distributed_masks": {
        # "passed": the wrapped layer sees none, the input's goes on; "given": it sees its steps' masks, the input's
        # goes on; "inner": it sees them, and its own mask goes on.
        "keras": (
            (_ALWAYS, "passed", "tdmask of 1.2.2, 2.1.6"),
            ((2, 2, 0), "inner", "keras/layers/wrappers.py of 2.2.0"),
        ),
        "tf.keras": ((_ALWAYS, "inner", "TF 1.15, 2.1, 2.4, 2.15"),),
        "keras3": ((_ALWAYS, "given", "keras/src/layers/rnn/time_distributed.py of 3.3.3, 3.15.1"),),
    },
    "time_distributed_masks_fixed": {
        # The same in a model whose inputs have a batch size; "unsure": "passed" for LSTM and GRU, else undecided.
        "keras": ((_ALWAYS, "passed", "tdfixed of 2.3.1; keras/layers/wrappers.py of 1.2.2, 2.1.6"),),
        "tf.keras": (
            (_ALWAYS, "passed", "python/keras/layers/wrappers.py of TF 1.13"),
            ((2, 2, 4), "unsure", "tdfixed of TF 1.15; 1.13 writes this version, too, and passes it to all layers"),
            (_TF2, "given", "tdfixed of TF 2.1"),
            ((2, 3, 1), "inner", "tdfixed of TF 2.2"),
        ),
        "keras3": ((_ALWAYS, "given", "keras/src/layers/rnn/time_distributed.py of 3.3.3, 3.15.1"),),
    },
    "mask_with_initial_state": {  # whether an implicit mask is applied when initial_state is passed
        "keras": ((_ALWAYS, True, "semantics measured on 2.3.1"),),
        "tf.keras": ((_ALWAYS, True, "semantics measured on TF 1.15, 2.4, 2.21"),),
        "keras3": ((_ALWAYS, False, "keras/src/layers/layer.py: looks for sequences_mask once there are two tensors"),),
    },
    "legacy_resize": {  # UpSampling2D's interpolation aligns the corners of pixels, not their middles
        "keras": ((_ALWAYS, True, "images of 2.3.1"),),
        "tf.keras": (
            (_ALWAYS, True, "resize_images of TF 1.13 and 1.14: python/keras/backend.py"),
            ((2, 2, 4), None, "TF 1.13 to 1.15 write this version: see Era.ragged"),
            (_TF2, False, "images of tf_keras 2.21; resize_images of TF 2.1"),
        ),
        "keras3": ((_ALWAYS, False, "UpSampling2D of 3.15.1"),),
    },
    "masks_kept": {  # where a layer gives back its very input, and at the ends of nested models
        "keras": ((_ALWAYS, True, "keras 1.2.2, 2.1.6, 2.3.1, run"),),
        "tf.keras": (
            (_ALWAYS, False, "TF 1.12, 1.13, run: `Layer.__call__` of python/keras/engine/base_layer.py"),
            ((2, 2, 4), None, "TF 1.13 to 1.15 write this version; 1.14, 1.15, run: kept. See Era.ragged"),
            (_TF2, True, "TF 2.0 to 2.4, run"),
        ),
        "keras3": ((_ALWAYS, True, "keras 3.15.1"),),
    },
    "explicit_mask_carried": {  # whether a mask passed by keyword, not only the input's own, goes on to the output
        "keras": ((_ALWAYS, False, "keras 2.3.1, run"),),
        "tf.keras": ((_ALWAYS, True, "TF 1.15 and tf_keras 2.21, run; tf26_maskgiven"),),
        "keras3": ((_ALWAYS, False, "3.3.3, 3.10.0, run; k360_maskgiven"), ((3, 11, 0), True, "3.11.0, 3.15.1, run")),
    },
    "conforming_drops_masks": {  # where an input of a nested model is cast to the type of its InputLayer
        "keras": ((_ALWAYS, False, "nothing is cast"),),
        "tf.keras": ((_ALWAYS, False, "TF 1.15 casts nothing"), ((2, 4, 0), True, "TF 2.6 and tf_keras 2.21, run")),
        "keras3": ((_ALWAYS, False, "keras 3.15.1: Functional.call sets the masks after"),),
    },
    "states_flow_between_calls": {  # of a stateful layer called twice; in a graph both calls read the old states
        "keras": ((_ALWAYS, False, "graph mode: K.update runs after all reads"),),
        "tf.keras": ((_ALWAYS, False, "graph mode"), (_TF2, True, "tf_keras 2.21, random graphs")),
        "keras3": ((_ALWAYS, True, "keras 3.15.1, random graphs"),),
    },
    "stacked_states_last_first": {  # order of the states of RNN([cells])
        "keras": (
            (_ALWAYS, True, "l3_rnn_stacked_states of 2.0.9, 2.1.6; keras 2.2.2, run"),
            ((2, 2, 3), False, "keras 2.2.3, run; l3 of 2.2.4"),
        ),
        "tf.keras": ((_ALWAYS, False, "l3_rnn_stacked_states of TF 1.15"),),
        "keras3": ((_ALWAYS, False, "l3_rnn_stacked_states of 3.15.1"),),
    },
    "stacked_masked_first": {  # masked steps of RNN([cells]) repeat the first cell's h, not the last's
        "keras": (
            (_ALWAYS, False, "l6_rnn_stacked_eq_mask of 2.1.6"),
            ((2, 2, 3), True, "keras 2.2.3, run; l6_rnn_stacked_eq_mask of 2.2.4"),
            ((2, 2, 5), False, "keras 2.2.5, run; l6_rnn_stacked_eq_mask of 2.3.1"),
        ),
        "tf.keras": (
            (_ALWAYS, True, "TF 1.12, run"),
            ((2, 2, 4), False, "TF 1.13, run; l6_rnn_stacked_eq_mask of TF 1.15"),
        ),
        "keras3": ((_ALWAYS, False, "l6_rnn_stacked_eq_mask of 3.15.1"),),
    },
}


def parse(version: str, backend: str = "") -> Era:
    """The era of a `keras_version` attribute: "1.2.2", "2.2.4-tf", "2.15.0", "3.15.1".

    Raises:
        ValueError: the text is no version.
    """
    match = re.fullmatch(r"(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?([-.+\w]*)", version.strip())
    if match is None:
        raise ValueError(f"{version!r} is not a Keras version")
    numbers = (int(match[1]), int(match[2]), int(match[3] or 0))
    if numbers[0] >= 3:
        return Era("keras3", numbers, backend)
    if numbers[0] == 2 and ("tf" in match[4] or numbers >= (2, 4, 0)):
        return Era("tf.keras", numbers, backend or "tensorflow")
    return Era("keras", numbers, backend)
