"""Functions that a written module carries along if it calls them."""

from __future__ import annotations

FRONT = '''
def front(x, mask) -> PackedSequence:
    """The steps of x [batch, time, features] where `mask` [batch, time] holds, moved to the front and packed."""
    order = torch.argsort((~mask).int(), dim=1, stable=True)
    moved = torch.gather(x, 1, order[..., None].expand(-1, -1, x.shape[-1]))
    return pack_padded_sequence(moved, mask.sum(1).clamp(min=1).cpu(), batch_first=True, enforce_sorted=False)
'''
SPREAD = '''
def spread(packed: PackedSequence, mask, begin, rule: str) -> Tuple[torch.Tensor, torch.Tensor]:
    """Outputs of the kept steps, put back where they were taken from, and the last outputs [directions, batch, units].

    A masked step's output is by `rule`: "previous" repeats the output before it (zeros at the beginning), "state" the
    carried state, from `begin` on, "zero" is zeros.
    """
    time, units = mask.shape[1], begin.shape[2]
    y = pad_packed_sequence(packed, batch_first=True, total_length=time)[0]
    before, count = mask.long().cumsum(1), mask.sum(1)
    halves, lasts = [], []
    for k, half in enumerate(y.split(units, -1)):
        index = before - 1 if k == 0 else before - mask.long()
        known = (index >= 0) & (index < count[:, None])
        if rule == "zero":
            known = known & mask
        found = torch.gather(half, 1, index.clamp(0, time - 1)[..., None].expand(-1, -1, units))
        rest = begin[k][:, None] if rule == "state" else torch.zeros_like(found[:, :1])
        found = torch.where(known[..., None], found, rest)
        halves.append(found)
        lasts.append(found[:, -1] if k == 0 else found[:, 0])
    return torch.cat(halves, -1), torch.stack(lasts)
'''
KEPT = '''
def kept(end, begin, mask):
    """Final states; those of rows that are masked throughout are the initial ones."""
    return torch.where(mask.any(1)[None, :, None], end, begin)
'''
SAME = '''
def same(x, window: List[int], strides: List[int], dilation: List[int], value: float = 0.0):
    """x [batch, channels, *spatial], padded as TensorFlow's "same" does, which depends on its size."""
    sizes: List[int] = x.shape[2:]
    pads: List[int] = []
    for k, size in enumerate(sizes):
        reach = (window[k] - 1) * dilation[k] + 1
        need = max(((size + strides[k] - 1) // strides[k] - 1) * strides[k] + reach - size, 0)
        pads = [need // 2, need - need // 2] + pads
    return F.pad(x, pads, value=value)
'''

TAKE = '''
def take(x, indices, axis: int):
    """numpy.take: the axes of `indices` stand where the axis was."""
    found = x.index_select(axis, indices.flatten().long())
    return found.reshape(x.shape[:axis] + indices.shape + x.shape[axis + 1 :])
'''

SOURCES = {"front": FRONT, "spread": SPREAD, "kept": KEPT, "same": SAME, "take": TAKE}
