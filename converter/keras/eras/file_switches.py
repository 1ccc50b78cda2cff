"""How architectures and arrays are written, by version."""

from __future__ import annotations

from converter.keras.eras.row import ALWAYS, Switches

FILES: Switches = {
    "keras1_spellings": {  # names of arguments, see `layer_type.Keras1`
        "keras": ((ALWAYS, True, "keras 1.2.2; k108_conv"), ((2, 0, 0), False, "keras 2.0.0; k200_bi")),
        "tf.keras": ((ALWAYS, False, "TF 1.12; tf113_maskbilast"),),
        "keras3": ((ALWAYS, False, "keras 3.0.5; k305_embed"),),
    },
    "operations_are_layers": {  # functional models list keras.ops under their own names
        "keras": ((ALWAYS, False, "keras 2.3.1; k108_conv"),),
        "tf.keras": ((ALWAYS, False, "TFOpLambda; tf113_maskbilast"),),
        "keras3": ((ALWAYS, True, "keras 3.0.5; k305_embed"),),
    },
    "training_written": {  # the layers' own default of training=, wherever they are called, which `predict` overrides
        "keras": ((ALWAYS, False, "keras 2.3.1"),),
        "tf.keras": ((ALWAYS, False, "tf_keras 2.21"),),
        "keras3": ((ALWAYS, True, "keras 3.15.1; layers.json: AugMix"),),
    },
    "creation_counts_in_outputs_only": {
        # Whether node 0 of a nested Functional model is its creation in a model's list of outputs, and not in calls
        # (`Functional.get_config` and `serialize_node` in keras/src/models/functional.py); before, it is so in both.
        "keras": ((ALWAYS, False, "nested of 1.2.2, 2.2.4; k122_nested"),),
        "tf.keras": ((ALWAYS, False, "nested of TF 1.15 to 2.15; tf115_nested"),),
        "keras3": ((ALWAYS, True, "nested of 3.0.5 to 3.15.1; k305_nested"),),
    },
    "kernel_stored_twice": {  # SpectralNormalization's, by itself and by the layer that it wraps
        "keras": ((ALWAYS, False, "no such layer"),),
        "tf.keras": ((ALWAYS, False, "tf_keras 2.21"),),
        "keras3": ((ALWAYS, True, "keras 3.15.1; layers.json: SpectralNormalization"),),
    },
    "discretization_summary": {  # whether it keeps a summary of what adapt() saw; Keras 3 writes the boundaries
        "keras": ((ALWAYS, True, "no such layer"),),
        "tf.keras": ((ALWAYS, True, "discretization.py of tf_keras 2.21; tfk221_edges"),),
        "keras3": ((ALWAYS, False, "discretization.py of 3.15.1"),),
    },
    "dicts_by_name": {
        # Whether the keys of a dict that a nested model is called on are the names of its inputs, if these are a list;
        # else the dict is flattened by sorted key.
        "keras": ((ALWAYS, True, "no such calls"),),
        "tf.keras": ((ALWAYS, True, "tf_keras 2.21, run: _flatten_to_reference_inputs; test_nested_structures.py"),),
        "keras3": (
            (ALWAYS, True, "functional.py of 3.0.0 to 3.3.3: _flatten_to_reference_inputs"),
            ((3, 4, 0), False, "functional.py of 3.4.1, 3.5.0, 3.6.0; k360_dicts"),
            ((3, 7, 0), True, "functional.py of 3.7.0; keras 3.15.1, run; test_nested_structures.py"),
        ),
    },
    "mask_dicts_by_name": {  # likewise, a dict of masks
        "keras": ((ALWAYS, True, "no such calls"),),
        "tf.keras": ((ALWAYS, True, "tf_keras 2.21: _flatten_to_reference_inputs"),),
        "keras3": (
            (ALWAYS, True, "functional.py of 3.0.0 to 3.3.3: _flatten_to_reference_inputs"),
            ((3, 4, 0), False, "functional.py of 3.4.1 to 3.15.1; k360_dicts"),
        ),
    },
}
