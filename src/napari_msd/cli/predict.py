"""Implements ``napari-msd predict``: segments images one by one, with a summary at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_msd.cli.channels import channels_for_model
from napari_msd.cli.files import images_among, origin_of, targets
from napari_msd.cli.output import (
    counted,
    image_warnings_to,
    named,
    print_message,
    progress,
    warn,
    warn_of_cores,
)
from napari_msd.core.errors import BadInputError, ImageWarning, ModelFileError, MSDError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_msd.images.model_file import ModelRecord
    from napari_msd.images.result import What
    from napari_msd.segmenter import MSDSegmenter


@dataclass(frozen=True)
class Wanted:
    """What is wanted of every image.

    Parameters
    ----------
    suffix
        Of the files to write.
    what
        Labels, probabilities or uncertainty.
    axes, channels
        As a person gives them; `None` for what the file says.
    """

    suffix: str
    what: What = "labels"
    axes: str | None = None
    channels: str | None = None


@dataclass
class _Outcome:
    """Names of images: segmented; segmented but unlike the training images; not segmented."""

    done: list[str] = field(default_factory=list)
    unlike: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def segment_images(
    model: Path,
    images: list[Path],
    output: Path,
    wanted: Wanted,
    device: str,
    seen: tuple[str | None, int | None] = (None, None),
) -> int:
    """Segment images; returns the exit code: 2 if one of them could not be, 130 after Ctrl-C.

    Parameters
    ----------
    model, images, output, device
        As in the command.
    wanted
        What is wanted of every image.
    seen
        Mode and context that the model must have, as far as a person has said so.

    Raises
    ------
    BadInputError, ExportError
        For a bad model, no images, or a folder that cannot be created.
    """
    from napari_msd.images.atomic import make_folder
    from napari_msd.images.model_file import read

    paths = images_among(images)
    record = read(model)  # report a bad model before PyTorch is loaded
    _require_seen(record, *seen)
    from napari_msd.segmenter import MSDSegmenter

    segmenter = MSDSegmenter.load(model, device=device)
    warn_of_cores()
    folder = make_folder(output)
    outcome = _Outcome()
    for path, target in zip(paths, targets(paths, folder, wanted.suffix, wanted.what), strict=True):
        try:
            warnings, remark = _segment(segmenter, record, path, target, wanted)
        except (MSDError, MemoryError) as error:
            outcome.failed.append(path.name)
            message = str(error) or "There is too little memory for this image."
            print_message(message if str(path) in message else f"{path}: {message}")
            continue
        except KeyboardInterrupt:
            print_message(_stopped(path, outcome, wanted))
            return 130
        print(target, flush=True)
        outcome.done.append(path.name)
        if remark:
            warn(f"{path.name} {remark}.")
        for warning in warnings:
            warn(f"{path.name} {warning.remark}.")
        if any(warning.unlike for warning in warnings):
            outcome.unlike.append(path.name)
    if len(paths) > 1 or outcome.unlike:
        print_message(_summary(outcome, folder))
    return 2 if outcome.failed else 0


def _require_seen(record: ModelRecord, mode: str | None, context: int | None) -> None:
    """A model sees as it was trained to see.

    Raises
    ------
    BadInputError
        If a person says otherwise.
    """
    found = record.network_input
    if mode is not None and mode != found.mode:
        raise ModelFileError(
            f"This model was trained with --mode {found.mode}, not {mode}; leave out --mode."
        )
    if context is not None and context != found.context:
        raise ModelFileError(
            f"This model was trained with --context {found.context}, not {context}; "
            "leave out --context."
        )


def _segment(
    segmenter: MSDSegmenter, record: ModelRecord, path: Path, target: Path, wanted: Wanted
) -> tuple[list[ImageWarning], str]:
    from napari_msd.images.open_source import open_source

    with open_source(path, axes=wanted.axes) as opened:
        source, remark = channels_for_model(opened, record, wanted.channels)
        _require_channels(record, source.space.n_channels, path)
        warnings: list[ImageWarning] = []
        with progress(path.name) as bar, image_warnings_to(warnings.append):
            segmenter.predict_to(
                source,
                target,
                what=wanted.what,
                origin=origin_of(path),
                skip_complete=True,
                callback=lambda fraction: bar(fraction, ""),
            )
    return warnings, remark


def _require_channels(record: ModelRecord, found: int, path: Path) -> None:
    if found != record.n_image_channels:
        raise BadInputError(
            f"--channels names {counted(found, 'channel')} of {str(path)!r}; "
            f"the model needs {record.n_image_channels}."
        )


def _stopped(path: Path, outcome: _Outcome, wanted: Wanted) -> str:
    text = f"Stopped while {path.name} was segmented, after {counted(len(outcome.done), 'image')}"
    if wanted.suffix.endswith(".zarr"):
        return f"{text}; what is done is kept: run the same command again to go on."
    return f"{text}; nothing of it was written."


def _summary(outcome: _Outcome, folder: Path) -> str:
    total = len(outcome.done) + len(outcome.failed)
    if outcome.failed:
        text = f"{len(outcome.done)} of {counted(total, 'image')} segmented into {folder}"
        text += f"; not segmented: {named(outcome.failed)}"
    else:
        text = f"{counted(total, 'image')} segmented into {folder}"
    if outcome.unlike:
        verb = "looks" if len(outcome.unlike) == 1 else "look"
        text += f"; {len(outcome.unlike)} of them {verb} unlike the training images"
        text += f": {named(outcome.unlike)}"
    return f"{text}."
