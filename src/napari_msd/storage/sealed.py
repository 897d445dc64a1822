"""Rows that know where they belong: a checksum over place and content comes first.

SQLite finds damaged pages, but not a flipped bit in a value. The checksum is no protection against
a forger; what a row says is checked when it is decoded.
"""

from __future__ import annotations

import zlib

from napari_msd.storage.limits import UnreadableError

_SIZE = 4


def sealed(place: str, body: bytes) -> bytes:
    """`body` with its checksum, for the row `place` ("entry 3 17")."""
    return _checksum(place, body) + body


def opened(place: str, data: object) -> bytes:
    """What `sealed` was given.

    Raises
    ------
    UnreadableError
        If this is not what was written there.
    """
    if not isinstance(data, bytes) or len(data) < _SIZE:
        raise UnreadableError(f"{place} holds nothing")
    body = data[_SIZE:]
    if _checksum(place, body) != data[:_SIZE]:
        raise UnreadableError(f"{place} is damaged")
    return body


def _checksum(place: str, body: bytes) -> bytes:
    return zlib.crc32(body, zlib.crc32(place.encode())).to_bytes(_SIZE, "little")
