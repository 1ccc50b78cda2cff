"""A machine that reads pickles of plain values, and of nothing else: dictionaries, lists, tuples, texts, numbers.

A pickle is a program for a stack machine (its opcodes: Lib/pickletools.py). Python's own machines call what the program
names, follow a memo index to any size, and hash keys as deep as the C stack goes. This one has rules of its own: names
are looked up in the caller's table and called only if they are there, keys are texts or numbers, and steps, texts
and numbers are bounded. What it makes is at most one small object for each step.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

from converter import limits
from converter.errors import InvalidModel, Unsupported

Function = Callable[..., Any]
_ATOMS = (str, bytes, int, float, type(None))
_MARK = object()
_HINT = "save the weights alone: torch.save(model.state_dict(), ...) or safetensors"


def load(data: bytes, functions: Mapping[tuple[str, str], Any], persistent: Callable[[Any], Any]) -> Any:
    """What the pickle makes.

    Args:
        data: the program.
        functions: (module, name) -> what stands for it: a function that may be called, or a constant.
        persistent: gives the object of a persistent id.

    Raises:
        InvalidModel: the program is broken, or larger than any honest one.
        Unsupported: it asks for a name that is not in the table, or for an opcode that makes objects.
    """
    machine = _Machine(data, functions, persistent)
    try:
        return machine.run()
    except (IndexError, struct.error, ValueError, TypeError, OverflowError) as error:
        raise InvalidModel(f"the pickle is broken at byte {machine.position}") from error


class _Machine:
    def __init__(self, data: bytes, functions: Mapping[tuple[str, str], Any], persistent: Callable[[Any], Any]) -> None:
        self._data, self._functions, self._persistent = data, functions, persistent
        self.position = 0
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        for _ in range(limits.PICKLE_STEPS):
            code = self._data[self.position]
            self.position += 1
            if code == _STOP:
                return self._stack.pop()
            if code in _PUSHES:
                self._stack.append(_PUSHES[code](self))
            elif code in _STEPS:
                _STEPS[code](self)
            else:
                raise Unsupported(f"the pickle's opcode {bytes([code])!r} makes objects, which is not done", hint=_HINT)
        raise InvalidModel(f"a pickle of more than {limits.PICKLE_STEPS} steps")

    def take(self, size: int) -> bytes:
        """The next bytes of the program."""
        piece = self._data[self.position : self.position + size]
        if len(piece) != size:
            raise ValueError("cut off")
        self.position += size
        return piece

    def number(self, layout: str) -> Any:
        """The next number."""
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def sized(self, layout: str) -> bytes:
        """Bytes behind their length."""
        size = self.number(layout)
        if size > limits.PICKLE_TEXT:
            raise InvalidModel(f"a text of {size} bytes in a pickle, more than the {limits.PICKLE_TEXT} of any name")
        return self.take(size)

    def text(self, layout: str) -> str:
        """Text behind its length."""
        return self.sized(layout).decode("utf-8")

    def long(self) -> int:
        """An integer of up to 8 bytes."""
        size = self.number("<B")
        if size > 8:
            raise InvalidModel(f"an integer of {size} bytes in a pickle")
        return int.from_bytes(self.take(size), "little", signed=True)

    def line(self) -> str:
        """Text up to the end of a line."""
        end = self._data.index(b"\n", self.position, self.position + limits.PICKLE_TEXT)
        return self.take(end + 1 - self.position)[:-1].decode("utf-8")

    def pop(self) -> Any:
        """The top of the stack, which is no mark."""
        top = self._stack.pop()
        if top is _MARK:
            raise ValueError("a mark")
        return top

    def many(self, count: int) -> list[Any]:
        """The `count` objects on top, in the order they were pushed."""
        return [self.pop() for _ in range(count)][::-1]

    def marked(self) -> list[Any]:
        """All objects above the last mark, which goes too."""
        taken = []
        while (top := self._stack.pop()) is not _MARK:
            taken.append(top)
        return taken[::-1]

    def named(self, module: str, name: str) -> Any:
        """What stands for a name in the caller's table."""
        if (module, name) not in self._functions:
            raise Unsupported(f"the pickle asks for {module}.{name}, which is not run", hint=_HINT)
        return self._functions[module, name]

    def referred(self, index: int) -> Any:
        """An object of the memo."""
        if index not in self._memo:
            raise ValueError("no such memo")
        return self._memo[index]

    def remember(self, index: int) -> None:
        """Keep the top of the stack in the memo."""
        self._memo[index] = self._stack[-1]

    def remember_next(self) -> None:
        """Keep the top of the stack under the next number."""
        self._memo[len(self._memo)] = self._stack[-1]

    def put(self, values: list[Any]) -> None:
        """Keys and values into the dictionary on top."""
        target = self._stack[-1]
        if type(target) is not dict or len(values) % 2:
            raise ValueError("no dictionary")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, _ATOMS):
                raise InvalidModel(f"a dictionary with a {type(key).__name__} as a key")
            target[key] = value

    def extend(self, values: list[Any]) -> None:
        """Values into the list on top."""
        target = self._stack[-1]
        if type(target) is not list:
            raise ValueError("no list")
        target.extend(values)

    def called(self) -> Any:
        """What a function of the table gives for the tuple on top."""
        function, arguments = self.many(2)
        if type(arguments) is not tuple or not any(function is known for known in self._functions.values()):
            raise ValueError("no call")
        return function(*arguments)

    def stated(self) -> None:
        """An object's further state (a state_dict's _metadata), which has no meaning here."""
        self.pop()

    def push_mark(self) -> None:
        """Begin a group."""
        self._stack.append(_MARK)

    def version(self) -> None:
        """The protocol's number; opcodes mean the same in all."""
        self.take(1)

    def frame(self) -> None:
        """A length that helps who reads from a stream."""
        self.take(8)

    def id_of(self) -> Any:
        """The object of the persistent id on top."""
        return self._persistent(self.pop())


_STOP = ord(".")
# Opcode -> what is pushed.
_PUSHES: dict[int, Callable[[_Machine], Any]] = {
    ord("}"): lambda m: {},
    ord("]"): lambda m: [],
    ord(")"): lambda m: (),
    ord("N"): lambda m: None,
    0x88: lambda m: True,
    0x89: lambda m: False,
    ord("K"): lambda m: m.number("<B"),
    ord("M"): lambda m: m.number("<H"),
    ord("J"): lambda m: m.number("<i"),
    ord("G"): lambda m: m.number(">d"),
    0x8A: lambda m: m.long(),
    ord("X"): lambda m: m.text("<I"),
    0x8C: lambda m: m.text("<B"),
    ord("C"): lambda m: m.sized("<B"),
    ord("B"): lambda m: m.sized("<I"),
    ord("c"): lambda m: m.named(m.line(), m.line()),
    0x93: lambda m: m.named(*m.many(2)),
    ord("t"): lambda m: tuple(m.marked()),
    0x85: lambda m: tuple(m.many(1)),
    0x86: lambda m: tuple(m.many(2)),
    0x87: lambda m: tuple(m.many(3)),
    ord("h"): lambda m: m.referred(m.number("<B")),
    ord("j"): lambda m: m.referred(m.number("<I")),
    ord("R"): lambda m: m.called(),
    ord("Q"): lambda m: m.id_of(),
}
# Opcode -> what is done.
_STEPS: dict[int, Callable[[_Machine], object]] = {
    0x80: _Machine.version,
    0x95: _Machine.frame,
    ord("("): _Machine.push_mark,
    ord("q"): lambda m: m.remember(m.number("<B")),
    ord("r"): lambda m: m.remember(m.number("<I")),
    0x94: _Machine.remember_next,
    ord("s"): lambda m: m.put(m.many(2)),
    ord("u"): lambda m: m.put(m.marked()),
    ord("a"): lambda m: m.extend(m.many(1)),
    ord("e"): lambda m: m.extend(m.marked()),
    ord("b"): _Machine.stated,
    ord("0"): _Machine.pop,
}
