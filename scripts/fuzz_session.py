"""Fuzzes what is read from session files, with coverage feedback and without SQLite.

Goes beyond what tests/storage/test_hostile.py tries. Each input is some rows, sealed so that their
checksums agree: any bytes, or what a session really holds with one field replaced. Whatever is
neither read nor an `UnreadableError` or `SessionError` is a bug; so is a document that is not the
same after it was written and read, and an input that needs much time or memory. Needs atheris
(``pip install atheris``; Linux and macOS only):

    python scripts/fuzz_session.py -max_total_time=600 -timeout=20 -rss_limit_mb=1000
"""

from __future__ import annotations

import contextlib
import sys

import atheris
import msgspec
import numpy as np

from napari_msd.core.box import Box
from napari_msd.core.checkpoint import ClassInfo
from napari_msd.core.errors import SessionError
from napari_msd.core.settings import Settings
from napari_msd.core.space import Space
from napari_msd.document import document_of, requests_of
from napari_msd.document.operations import (
    BindSource,
    ChooseSettings,
    DefineClass,
    MergeClasses,
    PaintBox,
    RemoveClass,
    RenameClass,
)
from napari_msd.storage.folding import Fold, place_of
from napari_msd.storage.limits import MemoryGuard, UnreadableError
from napari_msd.storage.operation_codec import decode, encode
from napari_msd.storage.owner import Owner
from napari_msd.storage.rows import (
    AnnotationRow,
    HistoryRow,
    State,
    image_of,
    unseal,
    version_of,
    view_of,
)
from napari_msd.storage.sealed import sealed

SPACE = Space("ZYX", (3, 90, 80), pixel_size=(2.0, 1.0, 1.0), units=("um",) * 3)
BOX = Box(0, (1, 5, 60), (2, 40, 70))
KNOWN = [
    encode(operation)
    for operation in (
        BindSource(0, SPACE, "image"),
        PaintBox(BOX, np.full(BOX.shape, 2, np.uint8)),
        DefineClass(ClassInfo(1, "membrane", "#102030")),
        RenameClass(2, "nucleus"),
        MergeClasses(2, 1),
        RemoveClass(1),
        ChooseSettings(Settings()),
    )
]
GUARD = MemoryGuard("It")


def row(data: atheris.FuzzedDataProvider) -> tuple[int, bytes]:
    """Kind and content of a row."""
    if data.ConsumeBool():
        return data.ConsumeIntInRange(-1, 9), data.ConsumeBytes(60)
    kind, body = KNOWN[data.ConsumeIntInRange(0, len(KNOWN) - 1)]
    fields = msgspec.msgpack.decode(body)
    if data.ConsumeBool():
        number = data.ConsumeInt(8)
        replacements = [number, [number, 1], data.ConsumeBytes(20), "x" * (number % 99), None, 0.5]
        at = data.ConsumeIntInRange(0, len(fields) - 1)
        fields[at] = replacements[data.ConsumeIntInRange(0, len(replacements) - 1)]
    return kind, msgspec.msgpack.encode(fields)


def read_rows(inputs: bytes) -> None:
    """Make a document of rows, and read one of every other kind."""
    data = atheris.FuzzedDataProvider(inputs)
    fold = Fold(1, GUARD, SPACE if data.ConsumeBool() else None)
    with contextlib.suppress(SessionError):
        for number in range(1, data.ConsumeIntInRange(1, 8)):
            kind, body = row(data)
            fold.take(number, kind, sealed(place_of(1, number, kind), body))
    again = document_of(decode(*encode(each), GUARD) for each in requests_of(fold.document))
    if again != fold.document:
        raise AssertionError("a document is not the same after it was written and read")
    body = sealed("it", data.ConsumeBytes(200))
    for kind in (State, Owner, AnnotationRow, HistoryRow):
        with contextlib.suppress(UnreadableError):
            unseal("it", body, kind)
    for read in (image_of, view_of, lambda place, each: version_of(place, each, each)):
        with contextlib.suppress(UnreadableError):
            read("it", body)


if __name__ == "__main__":
    atheris.instrument_all()  # while they are imported is not enough: no coverage is seen then
    atheris.Setup(sys.argv, read_rows)
    atheris.Fuzz()
