"""What masks do, by version."""

from __future__ import annotations

from converter.keras.eras.row import ALWAYS, TF2, Switches

MASKS: Switches = {
    "masked_output": {  # of a recurrent layer by itself: what a masked step puts out
        "keras": (
            (ALWAYS, "state", "h2_stateful_mask of 1.2.2 and 2.2.4; k122_stateful"),
            ((2, 2, 5), "previous", "keras 2.2.5, run; h2_stateful_mask of 2.3.1; k231_maskbi"),
        ),
        # Theano's scan starts from zeros.
        "keras:theano": ((ALWAYS, "previous", "keras 1.2.2 and 2.1.6 on Theano, run; maskbi; k122th_bi"),),
        "tf.keras": (
            (ALWAYS, "state", "TF 1.12, run: python/keras/backend.py"),
            ((2, 2, 4), "previous", "TF 1.13, run; h2_stateful_mask of TF 1.15, 2.6, 2.15; tf215_stateful"),
        ),
        "keras3": ((ALWAYS, "previous", "h2_stateful_mask of 3.15.1; k3151_stateful"),),
    },
    "bidirectional_zero_output": {  # whether it sets zero_output_for_mask of the wrapped layers to return_sequences
        "keras": ((ALWAYS, False, "e4_masking_bi_seq of 1.2.2, 2.2.4, 2.3.1; k122_bi"),),
        "tf.keras": (
            (ALWAYS, False, "TF 1.12, run: no such argument"),
            (
                (2, 2, 4),
                None,
                "maskbilast of TF 1.13, which sets it to True; of TF 1.14, 1.15: see Era.ragged; tf113_maskbilast",
            ),
            (TF2, True, "e4_masking_bi_seq of TF 2.3 to 2.15; maskfused of TF 2.0 to 2.2; tf20_maskfused"),
        ),
        "keras3": ((ALWAYS, True, "e4_masking_bi_seq of 3.15.1; k3151_bi"),),
    },
    "fused_zero_output": {  # whether an LSTM or GRU that a GPU could run fused heeds zero_output_for_mask
        "keras": ((ALWAYS, True, "no such argument before 2.3, and no fused run"),),
        "tf.keras": (
            (ALWAYS, True, "e4_masking_bi_seq of TF 1.13, 1.15; tf115_maskbi"),
            (TF2, False, "maskfused of TF 2.0, 2.1: standard_lstm of recurrent_v2.py lacks it; tf20_maskfused"),
            ((2, 3, 1), True, "maskfused of TF 2.2, e4_masking_bi_seq of TF 2.3; tf215_bi"),
        ),
        "keras3": ((ALWAYS, True, "e3_zero_output_for_mask of 3.15.1; k3151_maskbi"),),
    },
    "convlstm_zero_output": {  # whether ConvLSTMs heed zero_output_for_mask, which Bidirectional sets
        "keras": ((ALWAYS, False, "no such argument"),),
        "tf.keras": ((ALWAYS, False, "tf_keras 2.21: ConvRNN does not pass it on"),),
        "keras3": ((ALWAYS, True, "keras 3.15.1; k3151_edges"),),
    },
    "mask_value_single": {  # whether Masking compares in float32 at least, its value made a float32 first
        "keras": ((ALWAYS, False, "keras/layers/core.py of 2.2.4: K.not_equal; k122_maskbi"),),
        "tf.keras": ((ALWAYS, False, "tf_keras 2.21, run in float16, mixed_float16, float64; tf215_maskbi"),),
        "keras3": ((ALWAYS, True, "keras 3.15.1, run in float64, mixed_bfloat16: ops.not_equal; k3151_maskbi"),),
    },
    "relu_passes_mask": {  # the ReLU layer; before it did, the mask was dropped without a word
        "keras": ((ALWAYS, True, "keras/layers/advanced_activations.py of 2.2.4, 2.3.1"),),
        "tf.keras": (
            (ALWAYS, False, "maskrelu of TF 1.15, 2.1, 2.2; to TF 2.4 it says `support_masking`; tf115_maskrelu"),
            ((2, 5, 0), True, "maskrelu of TF 2.6; keras-nightly 2.5; tf26_maskrelu"),
        ),
        "keras3": ((ALWAYS, True, "keras 3.3.3, 3.10.0, 3.15.1; layers.json: ReLU"),),
    },
    "time_distributed_masks": {
        # "passed": the wrapped layer sees none, the input's goes on; "given": it sees its steps' masks, the input's
        # goes on; "inner": it sees them, and its own mask goes on.
        "keras": (
            (ALWAYS, "passed", "tdmask of 1.2.2, 2.1.6; k122_tdmask"),
            ((2, 2, 0), "inner", "keras/layers/wrappers.py of 2.2.0; k231_images"),
        ),
        "tf.keras": ((ALWAYS, "inner", "TF 1.15, 2.1, 2.4, 2.15; tf115_images"),),
        "keras3": ((ALWAYS, "given", "keras/src/layers/rnn/time_distributed.py of 3.3.3, 3.15.1"),),
    },
    "time_distributed_masks_fixed": {
        # The same in a model whose inputs have a batch size; "unsure": "passed" for LSTM and GRU, else undecided.
        "keras": ((ALWAYS, "passed", "tdfixed of 2.3.1; keras/layers/wrappers.py of 1.2.2, 2.1.6; k231_tdfixed"),),
        "tf.keras": (
            (ALWAYS, "passed", "python/keras/layers/wrappers.py of TF 1.13"),
            (
                (2, 2, 4),
                "unsure",
                "tdfixed of TF 1.15; 1.13 writes this version, too, and passes it to all layers; tf115_tdfixed",
            ),
            (TF2, "given", "tdfixed of TF 2.1; tf21_tdfixed"),
            ((2, 3, 1), "inner", "tdfixed of TF 2.2; tf22_tdfixed"),
        ),
        "keras3": ((ALWAYS, "given", "keras/src/layers/rnn/time_distributed.py of 3.3.3, 3.15.1"),),
    },
    "mask_with_initial_state": {  # whether an implicit mask is applied when initial_state is passed
        "keras": ((ALWAYS, True, "semantics measured on 2.3.1; k209_encdec"),),
        "tf.keras": ((ALWAYS, True, "semantics measured on TF 1.15, 2.4, 2.21; tf115_encdec"),),
        "keras3": (
            (
                ALWAYS,
                False,
                "keras/src/layers/layer.py: looks for sequences_mask once there are two tensors; k305_encdec",
            ),
        ),
    },
    "masks_kept": {  # where a layer gives back its very input, and at the ends of nested models
        "keras": ((ALWAYS, True, "keras 1.2.2, 2.1.6, 2.3.1, run; k108_merge"),),
        "tf.keras": (
            (ALWAYS, False, "TF 1.12, 1.13, run: `Layer.__call__` of python/keras/engine/base_layer.py"),
            (
                (2, 2, 4),
                None,
                "TF 1.13 to 1.15 write this version; 1.14, 1.15, run: kept. See Era.ragged; tf113_masklost",
            ),
            (TF2, True, "TF 2.0 to 2.4, run; tf20_nested"),
        ),
        "keras3": ((ALWAYS, True, "keras 3.15.1; k305_nested"),),
    },
    "explicit_mask_carried": {  # whether a mask passed by keyword, not only the input's own, goes on to the output
        "keras": ((ALWAYS, False, "keras 2.3.1, run"),),
        "tf.keras": ((ALWAYS, True, "TF 1.15 and tf_keras 2.21, run; tf26_maskgiven"),),
        "keras3": (
            (ALWAYS, False, "3.3.3, 3.10.0, run; k360_maskgiven"),
            ((3, 11, 0), True, "3.11.0, 3.15.1, run; k3151_functional"),
        ),
    },
    "conforming_drops_masks": {  # where an input of a nested model is cast to the type of its InputLayer
        "keras": ((ALWAYS, False, "nothing is cast"),),
        "tf.keras": (
            (ALWAYS, False, "TF 1.15 casts nothing"),
            ((2, 4, 0), True, "TF 2.6 and tf_keras 2.21, run; tfk221_edges"),
        ),
        "keras3": ((ALWAYS, False, "keras 3.15.1: Functional.call sets the masks after"),),
    },
    "stacked_masked_first": {  # masked steps of RNN([cells]) repeat the first cell's h, not the last's
        "keras": (
            (ALWAYS, False, "l6_rnn_stacked_eq_mask of 2.1.6"),
            ((2, 2, 3), True, "keras 2.2.3, run; l6_rnn_stacked_eq_mask of 2.2.4; k224_maskcells"),
            ((2, 2, 5), False, "keras 2.2.5, run; l6_rnn_stacked_eq_mask of 2.3.1; k231_maskcells"),
        ),
        "tf.keras": (
            (ALWAYS, True, "TF 1.12, run"),
            ((2, 2, 4), False, "TF 1.13, run; l6_rnn_stacked_eq_mask of TF 1.15; tf215_maskcells"),
        ),
        "keras3": ((ALWAYS, False, "l6_rnn_stacked_eq_mask of 3.15.1; k3151_maskcells"),),
    },
    "merged_masks": {
        # "and": joined by it; "lost": not seen in a list of inputs; "or": joined by it, one unmasked input ends the
        # mask, and Multiply, Maximum and Minimum leave masked steps out.
        "keras": ((ALWAYS, "and", "keras/layers/merge.py of 2.2.4; k224_share"),),
        "tf.keras": ((ALWAYS, "and", "layers/merging/base_merge.py of tf_keras 2.21; tf215_share"),),
        "keras3": (
            (ALWAYS, "lost", "keras 3.0.5, 3.3.3, run; k305_share"),
            ((3, 4, 0), "or", "keras-team/keras#19685; keras 3.6.0, 3.15.1; k3151_share"),
        ),
    },
    "softmax_takes_mask": {  # the Softmax layer; None: releases under one version differ
        "keras": ((ALWAYS, False, "keras/layers/advanced_activations.py of 2.3.1"),),
        "tf.keras": (
            (ALWAYS, False, "TF 2.3: masks pass by"),
            ((2, 4, 0), None, "TensorFlow 2.3 and 2.4 write this version, and differ"),
            ((2, 5, 0), True, "TF 2.6"),
        ),
        "keras3": ((ALWAYS, True, "keras/src/layers/activations/softmax.py; layers.json: Softmax"),),
    },
    "softmax_sets_masked": {  # masked scores are set to -1e9, and not lowered by it
        "keras": ((ALWAYS, False, "keras 2.3.1"),),
        "tf.keras": ((ALWAYS, False, "tf_keras 2.21"),),
        "keras3": ((ALWAYS, False, "keras 3.10.0"), ((3, 13, 0), True, "softmax.py of 3.13.0; k3151_edges64")),
    },
    "softmax_zeroes_masked": {  # masked positions come out as exact zeros, also in rows masked throughout
        "keras": ((ALWAYS, False, "keras 2.3.1"),),
        "tf.keras": ((ALWAYS, False, "tf_keras 2.21"),),
        "keras3": ((ALWAYS, False, "keras 3.6.0"), ((3, 10, 0), True, "softmax.py of 3.10.0; k3151_edges")),
    },
    "masked_score_float16": {  # in place of -1e9, which float16 cannot hold
        "keras": ((ALWAYS, -65504.0 / 2, "as tf.keras"),),
        "tf.keras": ((ALWAYS, -65504.0 / 2, "layers/activation/softmax.py of tf_keras 2.21"),),
        "keras3": ((ALWAYS, -30000.0, "keras/src/layers/activations/softmax.py; k3151_edges16"),),
    },
    "attention_takes_masks": {  # whether MultiHeadAttention reads the masks that query, value and key carry
        "keras": ((ALWAYS, False, "no such layer"),),
        "tf.keras": ((ALWAYS, False, "TF 2.6, 2.9"), ((2, 10, 0), True, "multi_head_attention.py of TF 2.10")),
        "keras3": ((ALWAYS, True, "keras 3.0.5; layers.json: GroupQueryAttention"),),
    },
    "attention_fused": {  # dot_product_attention, where rows masked throughout become means
        "keras": ((ALWAYS, False, "no such layer"),),
        "tf.keras": ((ALWAYS, False, "tf_keras 2.21"),),
        "keras3": (
            (ALWAYS, False, "keras 3.6.0"),
            ((3, 7, 0), True, "multi_head_attention.py of 3.7.0; layers.json: GroupQueryAttention"),
        ),
    },
    "masked_steps_left_out": {  # by GlobalAveragePooling1D, not multiplied by zero, which NaN survives
        "keras": ((ALWAYS, False, "keras/layers/pooling.py of 2.3.1"),),
        "tf.keras": ((ALWAYS, False, "global_average_pooling1d.py of tf_keras 2.21"),),
        "keras3": ((ALWAYS, True, "global_average_pooling1d.py of 3.15.1; k3151_edges"),),
    },
    "preprocessing_passes_mask": {  # Rescaling, Normalization, Identity
        "keras": ((ALWAYS, False, "no such layers"),),
        "tf.keras": ((ALWAYS, False, "tf_keras 2.21, run"),),
        "keras3": ((ALWAYS, True, "keras 3.15.1, run; layers.json: Identity"),),
    },
    "group_normalization_ignores_mask": {
        "keras": ((ALWAYS, False, "no such layer"),),
        "tf.keras": ((ALWAYS, False, "group_normalization.py of tf_keras 2.21: not computed here"),),
        "keras3": ((ALWAYS, True, "group_normalization.py of 3.15.1; k3151_edges"),),
    },
    "none_keeps_mask": {  # of an input of a nested model that is called with mask=[None, ...]
        "keras": ((ALWAYS, False, "keras 2.3.1"),),
        "tf.keras": ((ALWAYS, False, "tf_keras 2.21, run; tf26_maskgiven"),),
        "keras3": ((ALWAYS, True, "keras 3.15.1, run; k360_maskgiven"),),
    },
    "own_masks_written": {  # whether a nested model's mask= also holds the masks that its inputs carry anyway
        "keras": ((ALWAYS, False, "keras 2.3.1"),),
        "tf.keras": ((ALWAYS, False, "tf_keras 2.21"),),
        "keras3": ((ALWAYS, True, "keras 3.15.1; k3151_edges"),),
    },
}
