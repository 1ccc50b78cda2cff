"""LSTM models in NumPy alone: the yardstick of every conversion, written to be read, not to be fast.

    activations   every activation function, `FUNCTIONS` by name
    cell          one step of LSTM, GRU, SimpleRNN, ConvLSTM: the equations
    sequence      a cell over time: masks, directions, states, merging
    conv          convolution, transposed convolution, pooling
    layers        Dense, Embedding, normalizations
    ops           shapes, arithmetic, reductions
    text          strings: case, characters, words, and the numbers of words

Functions of arrays, in float32 or float64 as the arrays are. It knows no file format, trains nothing, and shares no
code with the converter it judges.
"""

from reference_lstm.activations import activate
from reference_lstm.cell import GRU, LSTM, Cell, ConvLSTM, SimpleRNN
from reference_lstm.sequence import Direction, run

__all__ = ["GRU", "LSTM", "Cell", "ConvLSTM", "Direction", "SimpleRNN", "activate", "run"]
