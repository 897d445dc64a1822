"""Which channels of an image a network gets, by the names or numbers that a person gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_msd.cli.output import named
from napari_msd.core.errors import BadInputError, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_msd.images.model_file import ModelRecord
    from napari_msd.images.open_source import FileSource


def chosen_channels(source: FileSource, asked: str | None) -> FileSource:
    """An image with the channels asked for, in that order; with all if nothing is asked.

    Parameters
    ----------
    source
        The image.
    asked
        Names, or numbers from 1 on, with commas between them.

    Raises
    ------
    BadInputError
        For a channel that is not there, or one that is named twice.
    """
    if asked is None:
        return source
    numbers = [_number(source, word.strip()) for word in asked.split(",")]
    if len(set(numbers)) != len(numbers):
        raise BadInputError(f"--channels names a channel twice: {shown(asked)}.")
    return source.choose_channels(numbers)


def channels_for_model(
    source: FileSource, record: ModelRecord, asked: str | None
) -> tuple[FileSource, str]:
    """An image with the channels that a model wants: by name, else in their order.

    Returns
    -------
    FileSource
        The image with these channels.
    str
        What the person should know, as a part of a sentence after the image's name; mostly empty.

    Raises
    ------
    BadInputError
        If it is not clear which channels are meant, or one is not there.
    """
    if asked is not None:
        return chosen_channels(source, asked), ""
    return _matched(source, record.channels, record.n_image_channels, "the model")


def channels_like(source: FileSource, first: FileSource) -> tuple[FileSource, str]:
    """An image with the channels of the first one that is learned from, in their order.

    Returns and raises as `channels_for_model`.
    """
    space = first.space
    return _matched(source, space.channel_names or (), space.n_channels, "the first image")


def _matched(
    source: FileSource, wanted: Sequence[str], count: int, whose: str
) -> tuple[FileSource, str]:
    """An image with `count` channels: those of the names that are wanted, else in their order."""
    here = source.space.channel_names
    if here and wanted:
        places = [_place(here, name) for name in wanted]
        found = [place for place in places if place is not None]
        if len(found) == len(wanted) == len(set(found)):
            return source.choose_channels(found), ""
    if source.space.n_channels != count:
        needed = f"{count} ({named(wanted)})" if wanted else str(count)
        verb = "needs" if whose == "the model" else "has"
        raise BadInputError(
            f"{str(source.path)!r} has {_described(source)}, and {whose} {verb} {needed}; "
            f"say which with --channels, in the order of {whose}."
        )
    if here and wanted:
        return source, (
            f"has channels of other names ({named(here)}) than {whose} ({named(wanted)}); "
            "they were taken in their order"
        )
    return source, ""


def _number(source: FileSource, word: str) -> int:
    """The number, from 0 on, of the channel that a person means."""
    names = source.space.channel_names or ()
    place = _place(names, word)
    if place is not None:
        return place
    if word.isdecimal() and len(word) < 6 and 1 <= int(word) <= source.space.n_channels:
        return int(word) - 1
    raise BadInputError(
        f"There is no channel {shown(word)} in {str(source.path)!r}; it has {_described(source)}."
    )


def _place(names: Sequence[str], name: str) -> int | None:
    folded = [other.casefold() for other in names]
    word = name.casefold()
    return folded.index(word) if folded.count(word) == 1 else None


def _described(source: FileSource) -> str:
    """Like "2 channels: 1 (DAPI), 2 (actin)"."""
    names, count = source.space.channel_names, source.space.n_channels
    if count == 1:
        return "one channel"
    if not names:
        return f"{count} channels, 1 to {count}"
    return f"{count} channels: " + named([f"{k} ({name})" for k, name in enumerate(names, 1)])
