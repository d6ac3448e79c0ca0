"""The least of the tar format that holds plain files (POSIX ustar), written so that `tar` lists it, and read strictly.

Python's own reader obeys links, devices, extended headers of any size and offsets that go backwards; none of that is known
here. A header is one block of 512 bytes: name, size, kind, checksum, prefix of the name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from nanocore.errors import FormatError

BLOCK = 512
END = bytes(2 * BLOCK)
MOST_NAME, MOST_PREFIX = 100, 155
MAGIC = b"ustar\x0000"
MOST_END = 1 << 20  # bytes behind the first block of zeros: tar fills its last record, of 10 KiB or what -b says
AGAIN = "fetch it again, or pack the run again with nanoconsole runs export"
OCTAL_SIZE = 8**11  # beyond it the size is a binary number, as GNU tar writes it
KINDS = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"5": "a folder of its own",
    b"6": "a pipe",
    b"L": "a name of another format",
    b"K": "a name of another format",
    b"S": "a sparse file",
    b"x": "an extended header",
    b"g": "an extended header",
}


@dataclass(frozen=True)
class Member:
    """A plain file: its name, with slashes, and its bytes."""

    name: str
    size: int


def header(member: Member) -> bytes:
    """The block before a file's bytes. Raises ValueError for a name that does not fit."""
    prefix, name = _split(member.name.encode())
    if member.size < OCTAL_SIZE:
        size = b"%011o\0" % member.size
    else:
        size = b"\x80" + member.size.to_bytes(11, "big")
    fields = [name.ljust(MOST_NAME, b"\0"), b"0000644\0", b"0000000\0" * 2, size, b"%011o\0" % 0]
    front, back = b"".join(fields), b"0" + bytes(100) + MAGIC + bytes(64) + b"0000000\0" * 2 + prefix.ljust(155, b"\0")
    total = sum(front) + 8 * 0x20 + sum(back)
    return (front + b"%06o\0 " % total + back).ljust(BLOCK, b"\0")


def padding(size: int) -> int:
    """Zeros behind so many bytes of a file."""
    return -size % BLOCK


def read_member(stream: BinaryIO, where: str) -> Member | None:
    """The next file's name and size, or None at the end, of which nothing may follow. Raises FormatError, and what the
    stream raises."""
    block = take(stream, BLOCK, where)
    if block == bytes(BLOCK):
        return _end(stream, where)
    if _number(block[148:156].rstrip(b"\0 "), where) != _checksum(block):
        raise refusal("is no archive, or damaged: a header's checksum is wrong", where)
    if block[257:265] != MAGIC:
        what = "is of another tar format, and archives of runs are of ustar"
        raise refusal(
            what, where, fix="pack the run with nanoconsole runs export, or these files with tar --format=ustar"
        )
    if block[156:157] != b"0":
        kind = KINDS.get(block[156:157], "something that is no file")
        raise refusal(f"holds {kind}, and a run is packed as plain files", where)
    prefix, name = block[345:500].split(b"\0", 1)[0], block[:100].split(b"\0", 1)[0]
    try:
        text = (prefix + b"/" + name if prefix else name).decode()
    except UnicodeDecodeError:
        raise refusal("holds a name that is not UTF-8", where) from None
    return Member(text, _size(block[124:136], where))


def take(stream: BinaryIO, size: int, where: str) -> bytes:
    """Exactly so many bytes. Raises FormatError where there are fewer."""
    found = stream.read(size)
    if len(found) != size:
        raise refusal("ends in the middle", where)
    return found


def refusal(what: str, where: str, *, fix: str = AGAIN) -> FormatError:
    """Why an archive cannot be used, and what to do."""
    return FormatError(what, where=where, fix=fix)


def _end(stream: BinaryIO, where: str) -> None:
    """The second block of zeros and those that fill the last record. Raises FormatError where anything else follows."""
    rest = stream.read(MOST_END + 1)
    if len(rest) < BLOCK:
        raise refusal("ends in the middle", where)
    if len(rest) > MOST_END or len(rest) % BLOCK or rest.strip(b"\0"):
        raise refusal("goes on behind its end, where only blocks of zeros may follow", where)


def _split(name: bytes) -> tuple[bytes, bytes]:
    """A name as prefix and rest, cut at a slash where it is long."""
    if len(name) <= MOST_NAME:
        return b"", name
    places = [i for i, byte in enumerate(name) if byte == 0x2F and i <= MOST_PREFIX and len(name) - i - 1 <= MOST_NAME]
    if not places:
        raise ValueError("the name is too long")
    return name[: places[-1]], name[places[-1] + 1 :]


def _checksum(block: bytes) -> int:
    return sum(block[:148]) + 8 * 0x20 + sum(block[156:])


def _size(field: bytes, where: str) -> int:
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    return _number(field.rstrip(b"\0 "), where)


def _number(field: bytes, where: str) -> int:
    if not field or field.strip(b"01234567"):
        raise refusal("is no archive, or damaged: a header's number is none", where)
    return int(field, 8)
