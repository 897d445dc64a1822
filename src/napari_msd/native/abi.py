"""kernels/include/napari_msd.h in ctypes: the same structs, constants and signatures.

No torch here, so that ``napari-msd info`` can load a library on its own.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char_p, c_double, c_int32, c_int64, c_void_p

ABI_VERSION = 8

BOUNDARY = {"reflect": 0, "symmetric": 1, "zeros": 2}
FLOAT32, FLOAT64 = 0, 1
MAPS_AS_DTYPE, MAPS_BFLOAT16, MAPS_FLOAT16 = range(3)
STAGED, COOPERATIVE = range(2)

OK, BAD_ARGUMENT, UNSUPPORTED, OUT_OF_MEMORY, NO_DEVICE, DEVICE_FAILED, INTERNAL = range(7)
OLD_DRIVER, OLD_DEVICE = 7, 8


class Problem(ctypes.Structure):
    """``msd_problem``: the sizes and options of one pass; its pointers are to host memory."""

    _fields_ = [
        ("batch", c_int64),
        ("sizes", c_int64 * 3),
        ("dilations", POINTER(c_int32)),
        ("in_channels", c_int32),
        ("depth", c_int32),
        ("width", c_int32),
        ("n_classes", c_int32),
        ("ndim", c_int32),
        ("boundary", c_int32),
        ("dtype", c_int32),
        ("threads", c_int32),
        ("keep_maps", c_int32),
        ("map_dtype", c_int32),
        ("dilations_z", POINTER(c_int32)),
        ("schedule", c_int32),
    ]


class Memory(ctypes.Structure):
    """``msd_memory``: bytes of device memory that the caller provides."""

    _fields_ = [
        ("maps", c_int64),
        ("forward_workspace", c_int64),
        ("backward_workspace", c_int64),
    ]


_SIGNATURES: dict[str, tuple[type, list[type]]] = {
    "msd_abi_version": (c_int32, []),
    "msd_version": (c_char_p, []),
    "msd_kind": (c_char_p, []),
    "msd_variant": (c_char_p, []),
    "msd_error_text": (c_char_p, [c_int32]),
    "msd_last_error": (c_char_p, []),
    "msd_probe": (c_int32, [c_int32]),
    "msd_check_waits": (c_int32, [c_void_p]),
    "msd_memory_needed": (c_int32, [POINTER(Problem), POINTER(Memory)]),
    # input, weight, bias, output_weight, output_bias -> maps, logits; workspace, stream
    "msd_forward": (c_int32, [POINTER(Problem), *[c_void_p] * 9]),
    # grad_logits, maps, weight, output_weight -> grad_input, grad_weight, grad_bias,
    # grad_output_weight, grad_output_bias; workspace, stream
    "msd_backward": (c_int32, [POINTER(Problem), *[c_void_p] * 11]),
    # dtype, threads, rounds -> flops, sink; stream
    "msd_fma_work": (
        c_int32,
        [c_int32, c_int32, c_int64, POINTER(c_double), c_void_p, c_void_p],
    ),
    # rounds -> nanoseconds
    "msd_handover": (c_int32, [c_int64, POINTER(c_double)]),
}


def declare(library: ctypes.CDLL) -> None:
    """Give every function of a loaded library its types.

    Raises
    ------
    AttributeError
        When a function is missing: not one of our libraries.
    """
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
