"""Damage to bytes: what disks and transfers do, and what somebody would try on purpose."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

EXTREMES = [
    struct.pack(form, value & (1 << 8 * struct.calcsize(form)) - 1)
    for form in ("<B", "<H", "<I", "<Q", ">I")
    for value in (0, 1, 2, 0x7F, 0x80, 0xFF, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63 - 1, 2**64 - 1)
]
TOKENS = [
    b"null", b"true", b"-1", b"0", b"1e999", b"nan", b"inf", b"1" * 400, b"[" * 300, b"{" * 300, b'"', b'""', b"\\u0000",
    b"\\ud800", b"../", b"/etc/passwd", b"\x1b]52;c;x\x07", b"\xff\xfe", b"\0", b"\n", b"=", b".", b",", b":", b"}", b"]",
    b'"a":' * 40, b"#", b"'", b"\xe2\x80\xae", b"9007199254740993", b"[[", b"]]", b"a." * 40,
]  # fmt: skip


def mutated(data: bytes, chance: random.Random) -> bytes:
    """The bytes after one to six damages."""
    found = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        chance.choice(DAMAGES)(found, chance)
    return bytes(found)


def _place(data: bytearray, chance: random.Random) -> int:
    """Anywhere, and in half of the cases near the front, where headers are."""
    return int(len(data) * chance.random() ** chance.choice((1, 4)))


def _flip(data: bytearray, chance: random.Random) -> None:
    if data:
        data[min(_place(data, chance), len(data) - 1)] ^= 1 << chance.randrange(8)


def _noise(data: bytearray, chance: random.Random) -> None:
    place, size = _place(data, chance), chance.choice((1, 2, 4, 8, 40))
    data[place : place + size] = chance.randbytes(size)


def _extreme(data: bytearray, chance: random.Random) -> None:
    place, value = _place(data, chance), chance.choice(EXTREMES)
    data[place : place + len(value)] = value


def _token(data: bytearray, chance: random.Random) -> None:
    place = _place(data, chance)
    data[place : place + chance.choice((0, 0, 1, 4))] = chance.choice(TOKENS)


def _cut(data: bytearray, chance: random.Random) -> None:
    del data[_place(data, chance) :]


def _delete(data: bytearray, chance: random.Random) -> None:
    place = _place(data, chance)
    del data[place : place + chance.choice((1, 2, 8, 100))]


def _repeat(data: bytearray, chance: random.Random) -> None:
    place, size = _place(data, chance), chance.choice((1, 8, 30, 200))
    data[place:place] = data[place : place + size] * chance.choice((1, 2, 10))


def _move(data: bytearray, chance: random.Random) -> None:
    start, target, size = _place(data, chance), _place(data, chance), chance.choice((4, 8, 60, 512))
    data[target : target + size] = data[start : start + size]


def _append(data: bytearray, chance: random.Random) -> None:
    data += chance.choice((b"\0" * 600, b"\n", chance.randbytes(20), bytes(data[:200])))


DAMAGES: list[Callable[[bytearray, random.Random], None]] = [
    _flip, _flip, _noise, _extreme, _extreme, _token, _token, _cut, _delete, _repeat, _move, _append,
]  # fmt: skip
