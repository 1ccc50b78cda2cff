"""What a Keras configuration means: `build(source) -> Model`."""

from converter.keras.build import build

__all__ = ["build"]
