"""Arrays inside messages: one msgpack extension of type, shape and values.

Values travel in little-endian order, row by row. What arrives is a view of the frame it came
in, so nothing is copied that does not have to be.
"""

from __future__ import annotations

from math import prod
from typing import Annotated, get_args

import msgspec
import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.uint8]
Pixels = npt.NDArray[np.generic]

EXTENSION = 1
"""Number of the msgpack extension."""

_KINDS = "uif"
_SIZES = (1, 2, 4, 8)

_Header = tuple[str, tuple[Annotated[int, msgspec.Meta(ge=0)], ...]]
_header = msgspec.msgpack.Decoder(_Header)


def portable(array: Pixels) -> Pixels:
    """`array` in rows without gaps and in a type that can be sent; the others become float32.

    Sent are whole numbers and floating point numbers of 1 to 8 bytes. Copies only what it must.
    """
    if array.dtype.kind not in _KINDS or array.dtype.itemsize not in _SIZES:
        array = array.astype(np.float32)
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<"))


def encode_value(value: object) -> object:
    """Write an array, or one of NumPy's numbers, into a message; for msgspec's `enc_hook`.

    Raises
    ------
    NotImplementedError
        For anything else.
    """
    if isinstance(value, np.generic):
        return value.item()
    if not isinstance(value, np.ndarray):
        raise NotImplementedError(f"A message cannot hold a {type(value).__name__}")
    array = portable(value)
    header = msgspec.msgpack.encode((array.dtype.str, array.shape))
    values = array.reshape(-1).view(np.uint8).data
    return msgspec.msgpack.Ext(EXTENSION, b"".join((bytes([len(header)]), header, values)))


def decode_array(code: int, data: memoryview) -> Pixels:
    """Read an array of a message; for msgspec's `ext_hook`.

    Raises
    ------
    ValueError
        If `code` is another one, or `data` is no array of whole or floating point numbers.
    """
    if code != EXTENSION or not len(data):
        raise ValueError(f"Extension {code} of {len(data)} bytes is no array")
    start = 1 + data[0]
    kind, shape = _header.decode(data[1:start])
    try:
        dtype = np.dtype(kind)
    except TypeError as error:
        raise ValueError(f"There are no values of type {kind}") from error
    if dtype.kind not in _KINDS or dtype.itemsize not in _SIZES:
        raise ValueError(f"Values of type {kind} are not accepted")
    if prod(shape) * dtype.itemsize != len(data) - start:
        raise ValueError(f"{len(data) - start} bytes are no array {shape} of {kind}")
    return np.frombuffer(data[start:], dtype).reshape(shape)


def check_array(kind: type, value: object) -> object:
    """Check that a decoded array has the type of the field it is for; msgspec's `dec_hook`.

    Raises
    ------
    ValueError
        If it is no array, or of another type of values.
    """
    if not isinstance(value, np.ndarray):
        raise ValueError("An array is expected")
    scalar = get_args(get_args(kind)[1])[0]  # NDArray[scalar] is ndarray[shape, dtype[scalar]]
    if not issubclass(value.dtype.type, scalar):
        raise ValueError(f"An array of {scalar.__name__} is expected, not of {value.dtype}")
    return value
