"""Fuzzes session files with coverage feedback, beyond what tests/storage/test_hostile.py tries.

A small session is made once. Each input chooses rows of it, changes what they say, seals them anew
so that checksums agree, and flips bytes of the file. Whatever is not a `SessionError` is a bug; so
is an input that needs more than libFuzzer's limit of memory (2 GB). Needs atheris
(``pip install atheris``; Linux and macOS only):

    python scripts/fuzz_session.py -max_total_time=600 -timeout=20
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["napari_msd.storage", "napari_msd.document"]):
    import msgspec
    import numpy as np

    from napari_msd.core.box import Box
    from napari_msd.core.checkpoint import VersionFigures
    from napari_msd.core.errors import SessionError
    from napari_msd.core.space import Space
    from napari_msd.document import Document, History
    from napari_msd.document.operations import BindSource, MergeClasses, PaintBox, RenameClass
    from napari_msd.storage import ImageReference, SessionFile, read, summaries
    from napari_msd.storage.elsewhere import VARIABLE
    from napari_msd.storage.folding import place_of
    from napari_msd.storage.sealed import sealed

_SPACE = Space("YX", (300, 200))


def base(folder: Path) -> bytes:
    """The bytes of a session with rows of most kinds."""
    session = SessionFile.create(folder / "base.msdsession")
    image = session.add_image(ImageReference("image", "YX", _SPACE.shape, 1, "uint8"))
    number = session.add_annotation(image, "annotation")
    document = Document(session.journal(number))
    document.do(BindSource(0, _SPACE, "image"))
    for value in (1, 2, 3):
        box = Box(0, (9 * value, 5), (9 * value + 5, 10))
        document.do(PaintBox(box, np.full(box.shape, value, np.uint8)))
    document.do(RenameClass(1, "one"))
    document.do(MergeClasses(2, 1))
    history = History()
    history.add(b"model", VersionFigures(9, 0.5, 3, 9, 0, "2026-01-01T00:00:00Z"), "image")
    session.keep_versions(image, "quick", history)
    session.keep_view({"zoom": 1})
    session.close(60)
    return session.path.read_bytes()


def change_rows(path: Path, data: atheris.FuzzedDataProvider) -> None:
    """Give some rows other contents, with checksums that agree."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.row_factory = sqlite3.Row
    for _ in range(data.ConsumeIntInRange(0, 3)):
        table, key = data.PickValueInList(
            [("image", "number"), ("annotation", "number"), ("history", "number")]
            + 3 * [("entry", "number")]
        )
        rows = connection.execute(f"SELECT * FROM {table}").fetchall()
        row = rows[data.ConsumeIntInRange(0, len(rows) - 1)]
        place, kind = f"{table} {row['number']}", 0
        if table == "entry":
            kind = data.PickValueInList([row["kind"], data.ConsumeIntInRange(0, 9)])
            place = place_of(row["annotation"], row["number"], kind)
        body = data.ConsumeBytes(data.ConsumeIntInRange(0, 80))
        if data.ConsumeBool():  # a valid body with one field replaced
            fields = msgspec.msgpack.decode(row["body"][4:])
            fields[data.ConsumeIntInRange(0, len(fields) - 1)] = data.PickValueInList(
                [data.ConsumeInt(8), body, data.ConsumeUnicode(20), [data.ConsumeInt(8)] * 2, None]
            )
            with contextlib.suppress(UnicodeEncodeError):
                body = msgspec.msgpack.encode(fields)
        connection.execute(
            f"UPDATE {table} SET body = ? WHERE {key} = ?", (sealed(place, body), row["number"])
        )
        if table == "entry":
            connection.execute("UPDATE entry SET kind = ? WHERE number = ?", (kind, row["number"]))
    connection.close()


def flip_bytes(path: Path, data: atheris.FuzzedDataProvider) -> None:
    """Change some bytes of the file."""
    content = bytearray(path.read_bytes())
    for _ in range(data.ConsumeIntInRange(0, 4)):
        content[data.ConsumeIntInRange(0, len(content) - 1)] = data.ConsumeIntInRange(0, 255)
    path.write_bytes(content)


def main() -> None:
    """Fuzz until libFuzzer is told to stop."""
    with tempfile.TemporaryDirectory() as name:
        os.environ[VARIABLE] = name
        original = base(Path(name))

        def one_input(inputs: bytes) -> None:
            data = atheris.FuzzedDataProvider(inputs)
            folder = Path(name) / "one"
            folder.mkdir()
            path = folder / "one.msdsession"
            path.write_bytes(original)
            change_rows(path, data)
            flip_bytes(path, data)
            with contextlib.suppress(SessionError):
                read(path)
            with contextlib.suppress(SessionError):
                session, _ = SessionFile.open(path)
                session.close(60)
            summaries(folder)
            shutil.rmtree(folder)

        atheris.Setup(sys.argv, one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
