"""A reader for the pickles of a CIFAR archive that runs nothing.

A pickle is a program for a stack machine, and its GLOBAL and REDUCE opcodes call whatever it names. This
reader knows the opcodes of https://github.com/python/cpython/blob/main/Lib/pickletools.py that plain data
needs, up to protocol 4, and no import machinery: the names a numpy array or Python 3's `bytes` need are
matched as text and their effect is done here; any other name, and any other opcode, ends the reading with
ArchiveInvalid.

Strings of Python 2 stay `bytes` (as with `pickle.load(..., encoding="bytes")`). A string of LONG bytes or
more, such as an array's data, is handed on piece by piece, so that it is never whole in memory.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from scones_ops.data.gunzip import CHUNK, Stream
from scones_ops.errors import ArchiveInvalid

LONG = 1 << 16
_HEAD = 16  # more bytes than any opcode with its fixed-size argument has

_ENCODE = ("_codecs", "encode")
_RECONSTRUCT = (("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct"))
_NDARRAY = ("numpy", "ndarray")
_DTYPE = ("numpy", "dtype")
_BYTES = (("__builtin__", "bytes"), ("builtins", "bytes"))
_NAMES = {_ENCODE, *_RECONSTRUCT, _NDARRAY, _DTYPE, *_BYTES}


@dataclass(frozen=True)
class Long:
    """Stands for a long string: `value` is what its taker made of it, `text` tells str from bytes."""

    value: Any
    text: bool


@dataclass
class DType:
    """A numpy data type by its code, such as "u1"."""

    code: str


@dataclass
class Array:
    """A numpy array as the pickle describes it; `data` is bytes in C order, or Long."""

    dtype: str = ""
    shape: tuple[int, ...] = ()
    data: bytes | Long = b""


@dataclass(frozen=True)
class _Name:
    """A name that the pickle asked for and that is on the list; never looked up."""

    parts: tuple[str, str]


Known = Callable[[bytes], Any]
Taker = Callable[[Iterator[bytes], Known], Any]
_MARK = object()


def read_pickle(stream: Stream, origin: str, take: Taker | None = None) -> Any:
    """Return the value in `stream`: None, bool, int, bytes, str, list, tuple, dict and Array, nested.

    `take(pieces, known)` is called for each long string and must use up `pieces`; `known(key)` returns what
    the dict being read already holds under `key`, or None. Without `take` a long string is refused. Raises
    ArchiveInvalid, naming `origin`, for anything else than plain data.
    """
    return _Machine(stream, origin, take).run()


class _Machine:
    """The stack machine. `_operations` maps an opcode to its method; each argument is read with `_take`."""

    def __init__(self, stream: Stream, origin: str, take: Taker | None) -> None:
        self._stream, self._origin, self._taker = stream, origin, take
        self._buffer, self._at = b"", 0
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        operations, stop = _OPERATIONS, ord(".")
        try:
            while True:
                if len(self._buffer) - self._at < _HEAD:
                    self._refill()
                code = self._buffer[self._at]
                self._at += 1
                if code == stop:
                    return self._stack.pop()
                operations[code](self)
        except KeyError as error:
            raise self._refuse(f"uses opcode or memo {error} that plain data does not need") from None
        except (IndexError, TypeError, ValueError, struct.error, AttributeError):
            raise self._refuse("is damaged") from None

    def _refuse(self, what: str) -> ArchiveInvalid:
        return ArchiveInvalid(
            f"{self._origin} {what}: it was not loaded; get the archive from a place you trust"
        )

    # Reading

    def _refill(self) -> None:
        """Read on, until the buffer holds _HEAD bytes more or the stream ends."""
        self._buffer, self._at = self._buffer[self._at :], 0
        wanted = len(self._buffer) + _HEAD
        while len(self._buffer) < wanted:
            piece = self._stream.read_some(CHUNK)
            if not piece:
                return
            self._buffer += piece

    def _take(self, size: int) -> bytes:
        while len(self._buffer) - self._at < size:
            before = len(self._buffer) - self._at
            self._refill()
            if len(self._buffer) == before:
                raise self._refuse("is cut off")
        self._at += size
        return self._buffer[self._at - size : self._at]

    def _line(self) -> str:
        while (end := self._buffer.find(b"\n", self._at)) < 0:
            if len(self._buffer) - self._at > 256:
                raise self._refuse("holds a name too long for plain data")
            before = len(self._buffer) - self._at
            self._refill()
            if len(self._buffer) == before:
                raise self._refuse("is cut off")
        line, self._at = self._buffer[self._at : end], end + 1
        return line.decode("ascii")

    def _string(self, size: int, *, text: bool) -> None:
        """Push a string of `size` bytes; `text` is stored as UTF-8."""
        if size < 0:
            raise self._refuse("is damaged")
        if size >= LONG:
            if self._taker is None:
                raise self._refuse("holds a string longer than plain data needs")
            pieces = self._pieces(size)
            value = self._taker(_latin1(pieces) if text else pieces, self._known)
            self._stack.append(Long(value, text))
            return
        data = self._take(size)
        self._stack.append(data.decode("utf-8") if text else data)

    def _pieces(self, size: int) -> Iterator[bytes]:
        """Yield the next `size` bytes; they are used up even if the taker stops early."""
        while size:
            here = self._buffer[self._at : self._at + size]
            if here:
                self._at += len(here)
            else:
                here = self._stream.read_some(min(size, CHUNK))
                if not here:
                    raise self._refuse("is cut off")
            size -= len(here)
            yield here

    def _known(self, key: bytes) -> Any:
        """Return what stands behind `key` on the stack, where a dict's items wait until SETITEMS."""
        for at in range(len(self._stack) - 2, -1, -1):
            item = self._stack[at]
            if isinstance(item, bytes | str) and item in (key, key.decode()):
                return self._stack[at + 1]
        return None

    # Acting

    def _to_mark(self) -> list[Any]:
        at = len(self._stack) - 1
        while self._stack[at] is not _MARK:
            at -= 1
        if at < 0:
            raise IndexError
        items = self._stack[at + 1 :]
        del self._stack[at:]
        return items

    def _put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def _tuple(self, size: int) -> None:
        items = tuple(self._stack[-size:])
        if len(items) != size:
            raise IndexError
        self._stack[-size:] = [items]

    def _set_items(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not dict or not all(isinstance(key, bytes | str | int) for key in items[::2]):
            raise TypeError
        target.update(zip(items[::2], items[1::2], strict=True))

    def _append(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not list:
            raise TypeError
        target.extend(items)

    def _name(self, module: str, name: str) -> None:
        if (module, name) not in _NAMES:
            raise self._refuse(f"asks for {module}.{name}, which plain data does not need")
        self._stack.append(_Name((module, name)))

    def _reduce(self) -> None:
        """Do what calling the name below the arguments would do, for the few names on the list."""
        arguments, function = self._stack.pop(), self._stack.pop().parts
        if function == _ENCODE:
            text, encoding = arguments
            if encoding not in ("latin1", "latin-1"):
                raise ValueError
            value: Any = Long(text.value, text=False) if isinstance(text, Long) else text.encode("latin-1")
        elif function in _BYTES and arguments == ():
            value = b""
        elif function in _RECONSTRUCT and arguments[0] == _Name(_NDARRAY):
            value = Array()
        elif function == _DTYPE and isinstance(arguments[0], bytes | str):
            code = arguments[0]
            value = DType(code.decode("ascii") if isinstance(code, bytes) else code)
        else:
            raise self._refuse(f"calls {'.'.join(function)} in a way plain data does not need")
        self._stack.append(value)

    def _build(self) -> None:
        """Give an array the state of numpy's __reduce__: version, shape, dtype, Fortran order, data."""
        state, target = self._stack.pop(), self._stack[-1]
        if isinstance(target, DType):  # byte order and alignment, which single bytes do not have
            return
        if not isinstance(target, Array):
            raise TypeError
        _, shape, dtype, fortran, data = state
        if fortran or not (isinstance(data, bytes) or (isinstance(data, Long) and not data.text)):
            raise ValueError
        target.shape, target.dtype, target.data = tuple(int(n) for n in shape), dtype.code, data


def _latin1(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield UTF-8 `pieces` as Latin-1: how Python 3 writes bytes into protocol 2, undone."""
    decode = codecs.getincrementaldecoder("utf-8")()
    for piece in pieces:
        yield decode.decode(piece).encode("latin-1")
    decode.decode(b"", final=True)


def _number(form: str) -> Callable[[_Machine], int]:
    """Return a reader of one little-endian number of struct format `form`."""
    unpack, size = struct.Struct("<" + form).unpack, struct.calcsize("<" + form)
    return lambda m: int(unpack(m._take(size))[0])


def _byte(machine: _Machine) -> int:
    """One byte: the commonest argument, and always in the buffer, which holds _HEAD bytes or the end."""
    at = machine._at
    machine._at = at + 1
    return machine._buffer[at]


_U2, _U4, _U8, _I4 = (_number(form) for form in "HIQi")
_OPERATIONS: dict[int, Callable[[_Machine], Any]] = {
    ord(code): action
    for code, action in {
        "\x80": lambda m: m._take(1),  # PROTO
        "\x95": lambda m: m._take(8),  # FRAME
        "(": lambda m: m._stack.append(_MARK),
        "N": lambda m: m._stack.append(None),
        "\x88": lambda m: m._stack.append(True),
        "\x89": lambda m: m._stack.append(False),
        "K": lambda m: m._stack.append(_byte(m)),  # BININT1
        "M": lambda m: m._stack.append(_U2(m)),  # BININT2
        "J": lambda m: m._stack.append(_I4(m)),  # BININT
        "\x8a": lambda m: m._stack.append(int.from_bytes(m._take(_byte(m)), "little", signed=True)),  # LONG1
        "U": lambda m: m._string(_byte(m), text=False),  # SHORT_BINSTRING
        "T": lambda m: m._string(_I4(m), text=False),  # BINSTRING
        "C": lambda m: m._string(_byte(m), text=False),  # SHORT_BINBYTES
        "B": lambda m: m._string(_U4(m), text=False),  # BINBYTES
        "\x8e": lambda m: m._string(_U8(m), text=False),  # BINBYTES8
        "\x8c": lambda m: m._string(_byte(m), text=True),  # SHORT_BINUNICODE
        "X": lambda m: m._string(_U4(m), text=True),  # BINUNICODE
        "\x8d": lambda m: m._string(_U8(m), text=True),  # BINUNICODE8
        "q": lambda m: m._put(_byte(m)),  # BINPUT
        "r": lambda m: m._put(_U4(m)),  # LONG_BINPUT
        "\x94": lambda m: m._put(len(m._memo)),  # MEMOIZE
        "h": lambda m: m._stack.append(m._memo[_byte(m)]),  # BINGET
        "j": lambda m: m._stack.append(m._memo[_U4(m)]),  # LONG_BINGET
        ")": lambda m: m._stack.append(()),
        "\x85": lambda m: m._tuple(1),
        "\x86": lambda m: m._tuple(2),
        "\x87": lambda m: m._tuple(3),
        "t": lambda m: m._stack.append(tuple(m._to_mark())),
        "]": lambda m: m._stack.append([]),
        "a": lambda m: m._append([m._stack.pop()]),
        "e": lambda m: m._append(m._to_mark()),
        "}": lambda m: m._stack.append({}),
        "s": lambda m: m._set_items([m._stack.pop(-2), m._stack.pop()]),
        "u": lambda m: m._set_items(m._to_mark()),
        "c": lambda m: m._name(m._line(), m._line()),  # GLOBAL
        "\x93": lambda m: m._name(*[m._stack.pop(-2), m._stack.pop()]),  # STACK_GLOBAL
        "R": lambda m: m._reduce(),
        "b": lambda m: m._build(),
    }.items()
}
