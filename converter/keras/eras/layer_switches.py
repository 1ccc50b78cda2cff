"""What other layers compute, and how they keep their arrays, by version."""

from __future__ import annotations

from converter.keras.eras.row import ALWAYS, TF2, Switches

LAYERS: Switches = {
    "legacy_resize": {  # UpSampling2D's interpolation aligns the corners of pixels, not their middles
        "keras": ((ALWAYS, True, "images of 2.3.1; k231_images"),),
        "keras:other": ((ALWAYS, "unknown", "theano_backend.py, cntk_backend.py"),),
        "tf.keras": (
            (ALWAYS, True, "resize_images of TF 1.13 and 1.14: python/keras/backend.py"),
            ((2, 2, 4), None, "TF 1.13 to 1.15 write this version: see Era.ragged; tf115_images"),
            (TF2, False, "images of tf_keras 2.21; resize_images of TF 2.1"),
        ),
        "keras3": ((ALWAYS, False, "UpSampling2D of 3.15.1"),),
    },
    "merges_promote": {  # inputs of different dtypes are made one of a dtype that holds both
        "keras": ((ALWAYS, False, "TensorFlow's operators take one dtype"),),
        "tf.keras": ((ALWAYS, False, "TensorFlow's operators take one dtype; run in tf_keras 2.21"),),
        "keras3": ((ALWAYS, True, "ops.add, ops.concatenate, ops.matmul of 3.0.5 to 3.15.1; layers.json: Add"),),
    },
    "image_layers_cast": {  # Resizing and CenterCrop, to their own dtype
        "keras": ((ALWAYS, True, "UpSampling2D of 2.3.1; k231_images"),),
        "tf.keras": ((ALWAYS, True, "image_preprocessing.py of tf_keras 2.21; tf115_images"),),
        "keras3": ((ALWAYS, False, "resizing.py, center_crop.py of 3.15.1; layers.json: Resizing"),),
    },
    "augmentation_casts_integers": {  # None: only some versions do
        "keras": ((ALWAYS, True, "no such layers"),),
        "tf.keras": ((ALWAYS, True, "image_preprocessing.py of tf_keras 2.21; tfk221_edges"),),
        "keras3": ((ALWAYS, None, "keras 3.3.3 and 3.15.1 differ"),),
    },
    "random_crop_resizes": {  # at inference, the largest part of these proportions
        "keras": ((ALWAYS, False, "no such layer"),),
        "tf.keras": ((ALWAYS, False, "TF 2.4 cuts after resizing"), ((2, 9, 0), True, "TF 2.9, tf_keras 2.21")),
        "keras3": ((ALWAYS, False, "3.3 still resizes, 3.10 leaves images as they are; layers.json: RandomCrop"),),
    },
    "theano_windows": {  # kernels are flipped, and padding "same" centers windows whatever their stride
        "keras": ((ALWAYS, False, "TensorFlow's backend; k122_conv"),),
        "keras:theano": (
            (ALWAYS, True, "keras/backend/theano_backend.py of 1.2.2 to 2.3.1; conv of Theano; k108_conv"),
        ),
        "tf.keras": ((ALWAYS, False, "TensorFlow; tf215_conv"),),
        "keras3": ((ALWAYS, False, "no Theano; k3151_conv"),),
    },
    "theano_pads_window_of_1": {  # by 0, where older ones pad by -1
        "keras": (
            (ALWAYS, False, "theano_backend.py of 1.0.8"),
            ((1, 2, 2), True, "theano_backend.py of 1.2.2; k122th_deconv"),
        ),
        "tf.keras": ((ALWAYS, True, "no Theano"),),
        "keras3": ((ALWAYS, True, "no Theano"),),
    },
    "filters_first": {  # kernels of channels_first layers are kept as [filters, input, *window]
        "keras": (
            (ALWAYS, True, "keras/layers/convolutional.py of 1.2.2; k122_silent"),
            ((2, 0, 0), False, "keras 2.0.0"),
        ),
        "tf.keras": ((ALWAYS, False, "TF 1.12"),),
        "keras3": ((ALWAYS, False, "keras 3.0.5"),),
    },
    "conv1d_kernel": {  # its axes
        "keras": (
            (ALWAYS, "filters, input, window, 1", "keras 1.0.8; k108_conv"),
            ((1, 1, 0), "window, 1, input, filters", "keras 1.1.0, 1.2.2; k122_conv"),
            ((2, 0, 0), "window, input, filters", "keras 2.0.0"),
        ),
        "tf.keras": ((ALWAYS, "window, input, filters", "TF 1.12"),),
        "keras3": ((ALWAYS, "window, input, filters", "keras 3.0.5"),),
    },
    "transposed_output": {  # how the output of a transposed convolution is cut out of what its windows reach
        "keras": (
            (ALWAYS, "stated", "keras 1.2.2 on TensorFlow: output_shape of Deconvolution2D; k122_deconv"),
            ((2, 0, 0), "usual", "keras 2.0.0"),
        ),
        "keras:theano": ((ALWAYS, "theano", "deconv of Theano; k122th_deconv"),),
        "tf.keras": ((ALWAYS, "usual", "TF 1.12"),),
        "keras3": ((ALWAYS, "usual", "keras 3.0.5; layers.json: Conv1DTranspose"),),
    },
    "transposed_kernel_as_conv": {  # [*window, input, filters], not the other way round
        "keras": (
            (ALWAYS, True, "Deconvolution2D of 1.2.2; k122_deconv"),
            ((2, 0, 0), False, "keras 2.0.0; k200th_deconv"),
        ),
        "tf.keras": ((ALWAYS, False, "TF 1.12"),),
        "keras3": ((ALWAYS, False, "keras 3.0.5; layers.json: Conv1DTranspose"),),
    },
    "conv_takes_more_axes": {  # as part of the batch
        "keras": ((ALWAYS, False, "keras 2.3.1"),),
        "tf.keras": ((ALWAYS, True, "base_conv.py of tf_keras 2.21; tfk221_edges"),),
        "keras3": ((ALWAYS, False, "keras 3.15.1"),),
    },
    "depthwise_kernel": {  # the attribute's name
        "keras": ((ALWAYS, "depthwise_kernel", "keras 2.2.4"),),
        "tf.keras": ((ALWAYS, "depthwise_kernel", "tf_keras 2.21"),),
        "keras3": ((ALWAYS, "kernel", "base_depthwise_conv.py of 3.15.1; layers.json: DepthwiseConv1D"),),
    },
    "adds_vectors_misplaced": {  # `add` takes some operands for vectors along another axis, on TensorFlow only
        "keras": ((ALWAYS, False, "keras 2.3.1; k122_silent"),),
        "tf.keras": ((ALWAYS, False, "tf_keras 2.21"),),
        "keras3": (
            (ALWAYS, False, "`add` of backend/tensorflow/numpy.py, 3.3.3"),
            ((3, 3, 4), True, "3.10, 3.15; layers.json: GroupQueryAttention"),
        ),
        "keras3:other": ((ALWAYS, False, "keras 3.15.1 on JAX, PyTorch"),),
    },
    "attention_projections": {  # what the attribute names of MultiHeadAttention's projections start with
        "keras": ((ALWAYS, "_", "no such layer"),),
        "tf.keras": ((ALWAYS, "_", "multi_head_attention.py of tf_keras 2.21"),),
        "keras3": ((ALWAYS, "", "multi_head_attention.py of 3.15.1; layers.json: MultiHeadAttention"),),
    },
    "gamma_sorted": {  # of a LayerNormalization over several axes; tf.keras keeps it as given, and reads it sorted
        "keras": ((ALWAYS, False, "no such layer"),),
        "tf.keras": ((ALWAYS, False, "layer_normalization.py of tf_keras 2.21"),),
        "keras3": ((ALWAYS, True, "layer_normalization.py of 3.15.1; layers.json: LayerNormalization"),),
    },
    "spectral_casts_back": {  # SpectralNormalization, to its input's dtype
        "keras": ((ALWAYS, False, "no such layer"),),
        "tf.keras": ((ALWAYS, False, "spectral_normalization.py of tf_keras 2.21"),),
        "keras3": ((ALWAYS, True, "spectral_normalization.py of 3.15.1; layers.json: SpectralNormalization"),),
    },
    "unit_norm_epsilon": {  # of the squares; Keras 3 bounds the length by 1e-12
        "keras": ((ALWAYS, 1e-12, "no such layer"),),
        "tf.keras": ((ALWAYS, 1e-12, "tf.nn.l2_normalize"),),
        "keras3": ((ALWAYS, 1e-24, "unit_normalization.py of 3.15.1; layers.json: UnitNormalization"),),
    },
    "dot_norm_epsilon": {  # of the squares; keras.ops bounds the length by 1e-7
        "keras": ((ALWAYS, 1e-12, "tf.nn.l2_normalize"),),
        "tf.keras": ((ALWAYS, 1e-12, "tf.nn.l2_normalize"),),
        "keras3": ((ALWAYS, 1e-14, "dot.py of 3.15.1; k3151_edges"),),
    },
    "dot_takes_any_rank": {
        "keras": ((ALWAYS, False, "keras 2.3.1 means something else by it"),),
        "tf.keras": ((ALWAYS, False, "TF 2.3"), ((2, 4, 0), True, "batch_dot of TF 2.4; tfk221_edges")),
        "keras3": ((ALWAYS, True, "keras 3.0.5"),),
    },
    "lookup_heeds_dtype": {  # int32, where the configuration says so
        "keras": ((ALWAYS, True, "no such layers"),),
        "tf.keras": ((ALWAYS, True, "index_lookup.py of tf_keras 2.21; tfk221_edges"),),
        "keras3": ((ALWAYS, False, "index_lookup.py of 3.15.1"),),
    },
    "encoded_as_int32": {  # Discretization and the like with output_mode="int"; else in the dtype they say, or int64
        "keras": ((ALWAYS, False, "no such layers"),),
        "tf.keras": ((ALWAYS, False, "tf_keras 2.21"),),
        "keras3": ((ALWAYS, True, "keras 3.15.1; layers.json: Discretization"),),
    },
    "s_relu_caps_below": {  # the line below the lower threshold, too
        "keras": ((ALWAYS, False, "knees of 1.2.2 on TensorFlow; k122_knees"),),
        "keras:theano": ((ALWAYS, True, "knees of 1.2.2 on Theano; k122th_knees"),),
        "tf.keras": ((ALWAYS, False, "no such layer"),),
        "keras3": ((ALWAYS, False, "no such layer"),),
    },
    "highway_kernels_first": {  # the order of its arrays: W, W_carry, b, b_carry, and not W, b, W_carry, b_carry
        "keras": ((ALWAYS, False, "keras 1.0.8"), ((1, 2, 0), True, "keras 1.2.2; k122_highway")),
        "tf.keras": ((ALWAYS, True, "no such layer"),),
        "keras3": ((ALWAYS, True, "no such layer"),),
    },
    "shared_axes_written": {  # of PReLU
        "keras": ((ALWAYS, False, "PReLU.get_config of 1.2.2; k122_knees"), ((2, 0, 0), True, "keras 2.0.0")),
        "tf.keras": ((ALWAYS, True, "TF 1.12"),),
        "keras3": ((ALWAYS, True, "keras 3.0.5; layers.json: PReLU"),),
    },
}
