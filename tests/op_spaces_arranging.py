"""What each operation of Keras 3 can be asked for that arranges or picks: see `op_spaces`."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from op_values import (
    ANYTHING,
    AXES,
    AXIS,
    BATCH,
    BOOL,
    DEEP,
    DEEPLY,
    INNER,
    KEYS,
    NUMBERS,
    SORTABLE,
    In,
    bools,
    case,
    ints,
    listed,
    x,
)

ARRANGING: dict[str, Any] = {
    # shapes
    **dict.fromkeys(("Concatenate", "Stack"), case(listed(), axis=INNER)),
    "Unstack": case(DEEPLY, axis=INNER, opening=False),
    "Split": case(
        x("normal", shapes=st.just((4, 6))),
        indices_or_sections=st.sampled_from([2, [1, 3], (2,)]),
        axis=INNER,
        opening=False,
    ),
    "ArraySplit": case(In((4, 6)), indices_or_sections=st.sampled_from([2, 3]), axis=INNER, opening=False),
    "Vsplit": case(In((4, 6)), indices_or_sections=st.sampled_from([[1]])),
    "Hsplit": case(In((4, 6)), indices_or_sections=st.sampled_from([2, [1, 3]]), opening=False),
    "Dsplit": case(In((4, 6)), indices_or_sections=st.sampled_from([2, [1, 3]])),
    **dict.fromkeys(("Hstack", "Vstack"), case(listed())),
    "Dstack": case(st.one_of(listed(), listed(shape=(2,)))),
    "Append": case(In((2, 3)), In((2, 3)), axis=AXIS),
    "ExpandDims": case(DEEPLY, axis=st.sampled_from([1, 2, -1, 0, [1, 2], (0, -1)])),
    "Squeeze": case(x("normal", shapes=st.just((1, 3, 1))), axis=st.sampled_from([1, -1, (1, 3), 3])),
    "Reshape": case(In((4, 6)), newshape=st.sampled_from([(-1, 24), (-1, 2, 12), (-1,), (-1, 6, 4)])),
    "Ravel": case(DEEPLY),
    "Transpose": case(In((2, 3, 4)), axes=st.one_of(st.none(), st.permutations([0, 1, 2, 3]))),
    "Swapaxes": case(DEEPLY, axis1=INNER, axis2=INNER),
    "Moveaxis": case(
        DEEPLY, source=st.sampled_from([1, -1, (1, 2)]), destination=st.sampled_from([2, 1, (2, 1), (-1, -2)])
    ),
    "Flip": case(DEEPLY, axis=AXES),
    **dict.fromkeys(("Flipud", "Fliplr"), case(DEEPLY)),
    "Rot90": case(In((4, 3)), k=st.sampled_from([-1, 0, 1, 3, 5]), axes=st.sampled_from([(1, 2), (2, 1)])),
    "Roll": case(DEEPLY, shift=st.sampled_from([1, -1, 2, 5]), axis=INNER),
    "Repeat": case(DEEPLY, repeats=st.sampled_from([2, 3]), axis=AXIS),
    "Tile": case(DEEPLY, repeats=st.sampled_from([2, (1, 2), (1, 2, 2), (2, 1, 1, 1, 1)])),
    "BroadcastTo": case(In((1, 3)), shape=st.sampled_from([(BATCH, 4, 3), (2, BATCH, 1, 3)]), opening=False),
    "Pad": st.one_of(
        case(In((4, 3)), pad_width=st.sampled_from([1, ((0, 0), (1, 2), (0, 1)), [[0, 1]]])),
        case(In((4, 3)), st.sampled_from([2.0, 3]), pad_width=1),
        case(In((4, 3)), pad_width=((0, 0), (1, 2), (2, 1)), mode=st.sampled_from(["reflect", "symmetric"])),
    ),
    "DepthToSpace": case(In((2, 3, 8)), block_size=2, data_format="channels_last", opening=False),
    "SpaceToDepth": case(In((4, 6, 2)), block_size=2, data_format="channels_last", opening=False),
    "ExtractSequences": case(In((2, 7)), sequence_length=st.integers(1, 4), sequence_stride=st.integers(1, 3)),
    # picking
    "GetItem": case(
        In((4, 3)),
        st.sampled_from(
            [
                *KEYS,
                -1,
                (slice(None), 1, Ellipsis),
                slice(0, 2),
                (slice(None), slice(-1, None, -2), slice(None, None, 2)),
                None,
            ]
        ),
    ),
    "Slice": case(
        In((4, 3)),
        st.sampled_from([[0, 1, 0], (0, 0, 1)]),
        shape=st.sampled_from([[BATCH, 2, 2], (2, 3, 1)]),
        opening=False,
    ),
    "SliceUpdate": case(In((4, 3)), st.sampled_from([[0, 1, 0], (0, 2, 1)]), In((2, 2)), opening=False),
    "Take": case(DEEPLY, st.sampled_from([0, [1, 0], [[0], [1]], -1]), axis=AXIS),
    "TakeAlongAxis": st.one_of(
        case(In((4, 3)), In((2, 3), "index", "int32"), axis=1),
        case(In((4, 3)), In((4, 2), "index", "int64"), axis=-1),
        case(In((4, 3)), In((4, 1), "index", "int32"), axis=2),
        case(In((4, 3)), In((2, 1), "index", "int32"), axis=1),
    ),
    "OneHot": case(
        x("index", "int32"),
        num_classes=st.sampled_from([3, 2]),
        axis=st.sampled_from([-1, 1]),
        dtype=st.sampled_from([None, "int32", "bool"]),
    ),
    "MultiHot": case(x("index", "int32", st.just((4,))), num_classes=st.sampled_from([3, 5])),
    **dict.fromkeys(("Sort", "Argsort"), case(st.one_of(SORTABLE, bools(DEEP)), axis=AXIS)),
    "TopK": case(SORTABLE, k=st.sampled_from([1, 2]), sorted=True),
    "Digitize": case(st.one_of(x(), x("ties"), ints()), np.array([-1.0, 0.0, 0.5, 1.0])),
    "SearchSorted": case(
        np.array([-1, 0, 0.5, 0.5, 1], "float32"), In((), "halves"), side=st.sampled_from(["left", "right"])
    ),
    "IsIn": case(st.one_of(x("ties"), ints()), st.sampled_from([[0, 1], [[2, -1]]]), invert=BOOL),
    **dict.fromkeys(
        ("OnesLike", "ZerosLike", "EmptyLike"),
        case(st.one_of(ANYTHING, x("special")), dtype=st.sampled_from([None, "int32"])),
    ),
    "FullLike": case(ANYTHING, NUMBERS, dtype=st.sampled_from([None, "float32"])),
    **dict.fromkeys(("Tril", "Triu"), case(DEEPLY, k=st.integers(-2, 2))),
    "Size": case(DEEPLY),
}
