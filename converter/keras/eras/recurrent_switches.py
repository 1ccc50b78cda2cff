"""What recurrent layers compute, and how they keep their arrays and states, by version."""

from __future__ import annotations

from converter.keras.eras.row import ALWAYS, TF2, Switches

RECURRENT: Switches = {
    "recurrent_activation": {  # default of LSTM and GRU
        "keras": (
            (ALWAYS, "hard_sigmoid", "keras 1.2.2, 2.2.4 source; k108_gru"),
            ((2, 3, 0), "sigmoid", "keras 2.3.1; k231_gru"),
        ),
        "tf.keras": ((ALWAYS, "hard_sigmoid", "TF 1.15; tf115_gru"), (TF2, "sigmoid", "TF 2.0; tf20_gru")),
        "keras3": ((ALWAYS, "sigmoid", "keras 3.15.1; k305_gru"),),
    },
    "convlstm_recurrent_activation": {
        "keras": ((ALWAYS, "hard_sigmoid", "u_convlstm2d of 2.2.4; k122_convlstm"),),
        "tf.keras": ((ALWAYS, "hard_sigmoid", "u_convlstm2d of TF 2.15; tf213_convlstm"),),
        "keras3": ((ALWAYS, "sigmoid", "u_convlstm2d of 3.15.1; k3151_convlstm"),),
    },
    "reset_after": {  # default of GRU
        "keras": ((ALWAYS, False, "n_gru of 2.2.4; k108_gru"),),
        "tf.keras": ((ALWAYS, False, "n_gru of TF 1.15; tf115_gru"), (TF2, True, "n_gru of TF 2.6; tf20_gru")),
        "keras3": ((ALWAYS, True, "n_gru of 3.15.1; k305_gru"),),
    },
    "states_flow_between_calls": {  # of a stateful layer called twice; in a graph both calls read the old states
        "keras": ((ALWAYS, False, "graph mode: K.update runs after all reads; k122_stateful"),),
        "tf.keras": (
            (ALWAYS, False, "graph mode; tf115_statemask"),
            (TF2, True, "tf_keras 2.21, random graphs; tf215_stateful"),
        ),
        "keras3": ((ALWAYS, True, "keras 3.15.1, random graphs; k3151_stateful"),),
    },
    "stacked_states_last_first": {  # order of the states of RNN([cells])
        "keras": (
            (ALWAYS, True, "l3_rnn_stacked_states of 2.0.9, 2.1.6; keras 2.2.2, run"),
            ((2, 2, 3), False, "keras 2.2.3, run; l3 of 2.2.4; k224_maskcells"),
        ),
        "tf.keras": ((ALWAYS, False, "l3_rnn_stacked_states of TF 1.15; tf215_maskcells"),),
        "keras3": ((ALWAYS, False, "l3_rnn_stacked_states of 3.15.1; k3151_maskcells"),),
    },
    "one_state_for_all": {  # a constant state of one row is that of every sample, not of a batch of one
        "keras": ((ALWAYS, False, "keras 2.3.1: the batch becomes 1"),),
        "tf.keras": ((ALWAYS, False, "tf_keras 2.21, run"),),
        "keras3": ((ALWAYS, True, "keras 3.15.1, run; k3151_edges"),),
    },
    "gates_apart": {  # whether an LSTM or GRU keeps W, U and b of each gate by itself, but for consume_less="gpu"
        "keras": (
            (ALWAYS, True, "keras/layers/recurrent.py of 1.2.2; k108_gru"),
            ((2, 0, 0), False, "keras 2.0.0; k200_gru"),
        ),
        "tf.keras": ((ALWAYS, False, "TF 1.12; tf115_gru"),),
        "keras3": ((ALWAYS, False, "keras 3.0.5; k305_gru"),),
    },
    "stateful_takes_initial_state": {  # in every call, in place of the states that the layer keeps
        "keras": ((ALWAYS, True, "keras/layers/recurrent.py of 2.2.4 and 2.3.1; k224_stategiven"),),
        "tf.keras": (
            (ALWAYS, True, "keras/layers/recurrent.py of TF 1.15"),
            (TF2, False, "recurrent.py of TF 2.1: only while its own states are zeros"),
        ),
        "keras3": ((ALWAYS, True, "rnn.py of 3.15.1"),),
    },
    "integers_become_floats": {  # where a layer computes with numbers, as autocast of Keras 3 or its products do
        "keras": ((ALWAYS, False, "keras 2.3.1: the backend refuses them"),),
        "tf.keras": ((ALWAYS, False, "tf_keras 2.21: autocast leaves integers as they are"),),
        "keras3": ((ALWAYS, True, "keras 3.15.1, 24 layers run on integers; k3151_edges"),),
    },
}
