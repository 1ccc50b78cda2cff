"""Functions that a written module carries along if it calls them."""

from __future__ import annotations

MASKED = '''
def masked(rnn, x, mask, states, rule):
    """Runs `rnn` over the steps where `mask` [batch, time] holds; masked steps leave the states as they are.

    The kept steps are moved to the front, run as a packed sequence, and their outputs are spread back. A masked step's
    output is by `rule`: "previous" repeats the output before it (zeros at the beginning), "state" the carried state,
    "zero" is zeros. Returns the sequence, the last outputs and the final states ([directions, batch, units] both).
    """
    if not rnn.batch_first:
        x, mask = x.transpose(0, 1), mask.transpose(0, 1)
    batch, time = mask.shape
    directions = 2 if rnn.bidirectional else 1
    lstm = isinstance(rnn, nn.LSTM)
    if states is None:
        zeros = x.new_zeros(directions, batch, rnn.hidden_size)
        states = (zeros, zeros) if lstm else zeros
    begin = states if lstm else (states,)
    count = mask.sum(1)
    order = torch.argsort((~mask).int(), dim=1, stable=True)
    front = torch.gather(x, 1, order[..., None].expand(-1, -1, x.shape[-1]))
    packed = pack_padded_sequence(front, count.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False)
    y, end = rnn(packed, states)
    y = pad_packed_sequence(y, batch_first=True, total_length=time)[0]
    some = (count > 0)[None, :, None]
    end = tuple(torch.where(some, a, b) for a, b in zip(end if lstm else (end,), begin))
    before = mask.long().cumsum(1)
    halves, lasts = [], []
    for k, half in enumerate(y.split(rnn.hidden_size, -1)):
        index = before - 1 if k == 0 else before - mask.long()
        known = (index >= 0) & (index < count[:, None])
        spread = torch.gather(half, 1, index.clamp(0, time - 1)[..., None].expand(-1, -1, half.shape[-1]))
        rest = begin[0][k][:, None] if rule == "state" else torch.zeros_like(spread[:, :1])
        spread = torch.where(known[..., None] & (mask[..., None] | (rule != "zero")), spread, rest)
        halves.append(spread)
        lasts.append(spread[:, -1] if k == 0 else spread[:, 0])
    y = torch.cat(halves, -1)
    return y if rnn.batch_first else y.transpose(0, 1), torch.stack(lasts), end if lstm else end[0]
'''

SOURCES = {"masked": MASKED}
