"""A class of one's own that extends a Keras layer: python -m converter model.h5 --plugin plugin_extends_lstm.py

What the layers compute in Keras:

    class TracedLSTM(LSTM):
        '''Adds nothing to what is computed: other training code, logging, a name.'''

    class ScaledLSTM(LSTM):
        def __init__(self, units, scale=1.0, **kwargs):
            super().__init__(units, **kwargs)
            self.scale = scale

        def call(self, sequences, initial_state=None, mask=None, training=None):
            y = super().call(sequences, initial_state=initial_state, mask=mask, training=training)
            return y * self.scale

        def get_config(self):
            return {**super().get_config(), "scale": self.scale}

`keras_layer("LSTM")` is everything that is known of Keras' own LSTM: its configuration, arrays, masks, states. A class
that computes the same is that row; one that computes more replaces what differs.
"""

from __future__ import annotations

from dataclasses import replace

from converter.plugin import Call, Tensor, keras_layer

LSTM = keras_layer("LSTM")


class ScaledConfig(LSTM.config, frozen=True):  # type: ignore[name-defined, misc]
    """`get_config` adds scale to what LSTM's writes."""

    scale: float = 1.0


def scaled_lstm(call: Call) -> tuple[Tensor, ...]:
    """Keras' LSTM, its output (not its states) times scale."""
    output, *states = LSTM.call(call)
    scaled = call.ops.with_scalar("multiply", output.value, call.config.scale)
    return (Tensor(scaled, output.mask), *states)


LAYERS = {"TracedLSTM": LSTM, "ScaledLSTM": replace(LSTM, config=ScaledConfig, call=scaled_lstm)}
