"""How much a file may ask for, in one place. Each limit comes with its reason, far above the largest honest model.

Three kinds: what a format may declare (checked before anything is allocated), how much work a reader may do (bytes and
nodes by format; its seconds are in its row), and what a model may make the export and the proof hold. Whoever meets
one raises InvalidModel or Unsupported and names it.
"""

from __future__ import annotations

MiB = 1 << 20

# --- texts: JSON and YAML ---------------------------------------------------------------------------------------------

TEXT_BYTES = 64 * MiB
"""A JSON text. The largest published architectures have 3 MB; 5,000 LSTM layers 12 MB."""
TEXT_NODES = 2_000_000
"""Brackets and commas of a JSON text: 5,000 layers of Keras 3 have 500,000, words of a vocabulary one each. Every node
takes about 100 bytes of memory, whereas the file may hold it in a hundredth of a byte."""
TEXT_DEPTH = 200
DIGITS, YAML_DIGITS = 19, 400
"""Of an integer: 64 bits; of any number of a YAML text, as written. Python's own integers grow without end, and their
products with them."""
YAML_CHARACTERS = 4 * MiB
YAML_NODES = 60_000
"""PyYAML makes 15,000 nodes a second; Keras' own to_yaml() of 1,000 layers has 40,000."""

# --- archives ---------------------------------------------------------------------------------------------------------

ZIP_MEMBERS = 10_000
ZIP_INFLATED = 256 * MiB
"""Members that must be inflated are held in memory; Keras stores them as they are."""
ZIP_FREE, ZIP_RATIO = 64 * MiB, 100
"""Members up to the first size may be deflated as far as deflate goes (1,000 times); larger ones this much."""

# --- arrays -----------------------------------------------------------------------------------------------------------

RANK = 32
"""Axes of an array: NumPy's own bound before version 2. Keras' layers need 6."""
VALUES = 1 << 48
"""Of one declared shape, empty axes not counted, so that no product leaves 64 bits, whatever the item size."""
SHARED_FREE, SHARED_RATIO = 64 * MiB, 16
"""Arrays that share stored bytes may together be that many times the file: tied weights are real (a decoder takes the
encoder's, ALBERT one layer 12 times), 300 layers over one storage are not."""

# --- HDF5 -------------------------------------------------------------------------------------------------------------

HDF5_RANK = 8
HDF5_LINKS = 100_000
HDF5_CHUNKS = 1_000_000
HDF5_FREE = 64 * MiB
HDF5_RATIO_FREE, HDF5_RATIO = 1100, 100
"""Arrays up to the first size may be compressed as far as deflate goes; larger ones, which hold real numbers, less."""
HDF5_TEXTS = 256 * MiB
"""Memory that one attribute of texts may take beyond what the process holds: texts may all point at one place."""
HDF5_PARTS = 2000
"""Parts of a text that did not fit one attribute of 64 kB: 128 MB, twice the longest text that is read."""
HDF5_SECONDS, HDF5_BYTES_PER_SECOND = 5, 10 * MiB
"""Of processor time in one call of the HDF5 library, which some broken files never leave, and how much an honest call
reads in each further second (deflate gives 100 MB a second)."""

# --- pickles of PyTorch -----------------------------------------------------------------------------------------------

PICKLE_BYTES = 16 * MiB
PICKLE_STEPS = 1_000_000
"""Opcodes: a state_dict has 40 for each array, so this is 25,000 arrays. Each makes at most one small object."""
PICKLE_TEXT = 65536
"""Bytes of one name in it."""

# --- checkpoints, SavedModels, safetensors, ONNX, tfjs ----------------------------------------------------------------

BUNDLE_SHARDS = 100_000
BUNDLE_STRINGS = 256 * MiB
BUNDLE_SLICES = 4096
TABLE_FILE = 256 * MiB
TABLE_BLOCK = 64 * MiB
TABLE_ENTRIES = 1_000_000
TABLE_KEY = 65536
WORDS = 10_000_000
"""Of one lookup table."""
PROTO_BYTES = 256 * MiB
ONNX_NODES = 10_000
"""Operators of an ONNX file that is read back; a stack of 100 LSTM layers has 1,000."""
ONNX_BYTES = (1 << 31) - 1
"""Protobuf itself ends there."""
SAFETENSORS_HEADER = 32 * MiB
KERAS_SHARDS = 10_000
TFJS_FILES = 10_000

GRAPH_SECONDS = 300
"""Of processor time, for a function graph; those of containers are in the rows of `READERS`. A SavedModel of 100
recurrent layers takes 40 s."""
READER_BYTES_PER_SECOND = 10 * MiB
"""Hashing and checksums go over all of a file."""

# --- the model --------------------------------------------------------------------------------------------------------

MODEL_DEPTH = 64
"""Models in models and wrappers in wrappers."""
MODEL_NODES = 15_000
"""Operations once nested models are inlined: 5,000 stacked LSTM layers make 10,000."""
CALLS_FREE, CALLS_PER_LAYER = 3000, 8
"""Calls of layers: nested models may be called again and again (a decoder's cell at each of 50 steps, 400 calls), but
each call of a model costs as much as if the file held it once more."""
NODE_INDEX = 1_000_000
ROW_NUMBERS = 1 << 28
"""In one value for one row of a batch: 1 GB of float32. A runtime can still do it; what the proof can do is bounded by
`PROOF_BYTES`."""
WITNESS_BYTES = 256 * MiB
"""Of weights, up to which the function graph of a SavedModel, which holds them all at once, is run as a witness."""
PROOF_BYTES = 384 * MiB
"""Of the largest value in the proof, in float64: three 512 x 512 images of 64 channels have 384 MB."""
PROOF_STEPS, PROOF_STEPS_IN_ALL = 100_000, 1_000_000
"""Of one recurrent layer, and of all, in one case of the proof, which steps in Python: 20 s for each 100,000."""
CONSTANT_NUMBERS = 1 << 24
"""In one constant that a layer's sizes make (a matrix of interpolation, a table of positions)."""
ONE_HOT = 1 << 24

# --- the process ------------------------------------------------------------------------------------------------------

CHILD_BYTES, CHILD_BYTES_PER_BYTE = 4096 * MiB, 8
"""Memory of the child that does the work, and more for each byte of the model's files. Most published models take
100 to 400 MB, one of convolutional LSTMs more than 900 in its proof; weights are read one at a time."""
CHILD_SECONDS, CHILD_BYTES_PER_SECOND = 600, 1 * MiB
"""Of processor time: a model of 5,000 layers takes 100 s."""
