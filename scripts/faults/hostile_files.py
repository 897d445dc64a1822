"""Files made to break a reader: good ones with lies, flipped bytes, cuts and absurd values.

Everything must end in this package's own exception, with one sentence, or in a file that is read.
"""

from __future__ import annotations

import json
import logging
import random
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from faults.scenario import Run
from napari_msd.core.errors import MSDError
from napari_msd.images.export import export_labels
from napari_msd.images.image_files import read_image
from napari_msd.images.model_file import ModelRecord, read
from napari_msd.images.napari_reader import reader_of
from napari_msd.images.our_labels import holds_our_labels

LONGEST_SENTENCE = 700

ABSURD: list[Any] = [
    None,
    True,
    -1,
    0,
    2**62,
    2**63,
    -(10**400),
    1e-320,
    1e308,
    0.5,
    "",
    "x" * 5000,
    "\x00\ud800",
    "NaN",
    [],
    [0] * 3000,
    [[[]]],
    {},
    {"": {"": []}},
]
"""Values for any place of a JSON text; 10**400 is a number that no float holds."""


def mutated_json(value: Any, rng: random.Random) -> Any:
    """The same with one place changed: replaced, removed, doubled, or nested."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        changed = dict(value)
        if rng.random() < 0.12:
            del changed[key]
        elif rng.random() < 0.1:
            changed[f"{key}x"] = changed[key]
        else:
            changed[key] = mutated_json(value[key], rng)
        return changed
    if isinstance(value, list) and value and rng.random() < 0.7:
        at = rng.randrange(len(value))
        return [*value[:at], mutated_json(value[at], rng), *value[at + rng.randrange(2) + 1 :]]
    if isinstance(value, (int, float)) and not isinstance(value, bool) and rng.random() < 0.5:
        near = [value + 1, -value, value * 2**20, [value]]
        return rng.choice(near if abs(value) > 2**64 else [*near, float(value), str(value)])
    return rng.choice(ABSURD)


def mutated_bytes(data: bytes, rng: random.Random) -> bytes:
    """The same with some bytes changed, or cut, or with more behind it."""
    changed = bytearray(data)
    for _ in range(rng.choice([0, 1, 1, 2, 5, 40])):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    if rng.random() < 0.3:
        del changed[rng.randrange(len(changed)) :]
    if rng.random() < 0.1:
        changed += rng.randbytes(rng.randrange(100))
    return bytes(changed)


def hostile_model(good: bytes, rng: random.Random) -> bytes:
    """A model file with a lie: about its length, its arrays, or anything in our JSON."""
    (length,) = struct.unpack("<Q", good[:8])
    rest = good[8 + length :]
    header = json.loads(good[8 : 8 + length])
    kind = rng.randrange(6)
    if kind == 0:
        return mutated_bytes(good, rng)
    if kind == 1:
        wrong = rng.choice([0, 1, length - 1, length + 1, len(good), 2**31, 2**62, 2**64 - 1])
        return struct.pack("<Q", wrong) + good[8:]
    if kind == 2:
        header = mutated_json(header, rng)
    else:
        ours = json.loads(header["__metadata__"]["napari_msd"])
        for _ in range(rng.choice([1, 1, 1, 2, 4])):
            ours = mutated_json(ours, rng)
        header["__metadata__"]["napari_msd"] = _text(ours)
    if kind == 3 and rng.random() < 0.3:
        rest = rest[: rng.randrange(len(rest))]
    text = _text(header).encode("utf-8", "surrogatepass")
    if kind == 4 and rng.random() < 0.2:
        text = text.replace(b"{", b'{"steps": 1, "steps": 2, ', 1)
    return struct.pack("<Q", len(text)) + text + rest


def _text(value: Any) -> str:
    """JSON, also with lone surrogates."""
    return json.dumps(value)


def good_models() -> list[bytes]:
    """A model without trees, and one with."""
    from napari_msd import MSDSegmenter

    rng = np.random.default_rng(0)
    image = rng.normal(0, 0.1, (48, 64)).astype(np.float32)
    image[:, 32:] += 1
    strokes = np.zeros(image.shape, np.uint8)
    strokes[4:40, 6:10], strokes[4:40, 50:54] = 1, 2
    found = []
    for trees in (False, True):
        segmenter = MSDSegmenter(depth=3, patch_size=32, trees=trees)
        segmenter.fit(image, strokes, max_steps=2)
        with tempfile.TemporaryDirectory() as folder:
            path = segmenter.save(Path(folder) / "model.safetensors")
            found.append(path.read_bytes())
    return found


def refused_well(attempt: Callable[[], object]) -> str:
    """Try to read; what is wrong with the way it was refused, empty if nothing is."""
    try:
        attempt()
    except MSDError as error:
        text = str(error)
        if "\n" in text:
            return f"more than one line: {text[:80]!r}"
        if len(text) > LONGEST_SENTENCE:
            return f"a sentence of {len(text)} characters: {text[:80]!r}"
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:80]}"
    return ""


def model_files(run: Run) -> None:
    """Hostile model files, from memory and from the disk."""
    path = run.folder / "hostile.safetensors"
    goods = good_models()
    count = 200 if run.short else 20_000
    for number in range(count):
        data = hostile_model(goods[number % 2], run.random)
        wrong = refused_well(lambda data=data: ModelRecord.from_bytes(data))
        run.check(not wrong, wrong)
        if number % 10 == 0:
            path.write_bytes(data)
            wrong = refused_well(lambda: read(path))
            run.check(not wrong, wrong)
    run.figure("files, in all", count)


def label_files(run: Run) -> None:
    """Hostile label files, for `napari-msd` and for napari's reader."""
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # it remarks on every lie
    rng = np.random.default_rng(0)
    labels = rng.choice([0, 1, 3], (20, 30)).astype(np.uint8)
    about: dict[str, Any] = {
        "class_names": {1: "cell", 3: "wall"},
        "class_colors": {1: "#112233", 3: "#445566"},
        "scale": (0.5, 0.25),
        "units": "um",
    }
    goods = []
    for suffix in (".tif", ".ome.tif", ".png", ".npy"):
        path = export_labels(run.folder / f"good{suffix}", labels, **about)
        goods.append((suffix, path.read_bytes()))
    count = 200 if run.short else 8000
    for number in range(count):
        suffix, good = goods[number % 4]
        path = run.folder / f"hostile{suffix}"
        path.write_bytes(mutated_bytes(good, run.random))
        for attempt in (read_image, _open_in_napari, holds_our_labels):
            wrong = refused_well(lambda attempt=attempt, path=path: attempt(path))
            run.check(not wrong, f"{suffix}: {wrong}")
    run.figure("files, in all", count)


def _open_in_napari(path: Path) -> None:
    reader = reader_of(str(path))
    if reader is not None:
        reader(str(path))
