"""Our own exceptions: each message is one sentence for the user that says what to do.

The GUI and the command line show ``str(error)`` as it is; nothing here ever
reaches a person as a traceback.
"""

from __future__ import annotations

LONGEST_SHOWN = 80
"""Characters of a value that a message repeats at most."""


def shown(value: object) -> str:
    """A value as an error's sentence names it: like ``repr``, but never long.

    Values come from files that somebody sent; some are megabytes long.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 256:
        return "a huge number"  # Python refuses to write some of them
    if isinstance(value, str | bytes | list | tuple) and len(value) > LONGEST_SHOWN:
        value = value[:LONGEST_SHOWN]
    try:
        text = repr(value)
    except ValueError:  # a huge number inside
        text = f"this {type(value).__name__}"
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"


class MSDError(Exception):
    """Everything this package raises on purpose."""


class BadInputError(MSDError, ValueError):
    """What the person gave cannot be used; the message says what to give instead."""


class StrokesError(BadInputError):
    """No strokes, strokes of one class only, or strokes outside the image."""


class ImageError(BadInputError):
    """An image that cannot be learned from: empty, constant, or of a wrong shape."""


class SettingsError(BadInputError):
    """An unknown preset, or a setting outside its range."""


class ModelFileError(BadInputError):
    """A model file that is missing, damaged, foreign, or made for other images."""


class ExportError(MSDError, OSError):
    """A result could not be written; nothing that was there before is lost."""


class TrainerError(MSDError, RuntimeError):
    """The trainer process could not start, or ended before its work was done."""


class OutOfMemoryError(MSDError, MemoryError):
    """The device has too little memory for this image or network."""


class ImageWarning(UserWarning):
    """An image is learned from or segmented, but not as the person may think.

    Filter it as any warning: ``warnings.simplefilter("ignore", ImageWarning)``, or ``"error"``
    to stop at the first.

    Parameters
    ----------
    remark
        What is to be said of the image, like "is much brighter than ...", without a full stop.
    number
        Which image of several it is, from 0 on.
    unlike
        Whether its grey values are unlike those that the network knows.
    """

    def __init__(self, remark: str, number: int | None = None, *, unlike: bool = False) -> None:
        name = "This image" if number is None else f"Image {number + 1}"
        super().__init__(f"{name} {remark}.")
        self.remark = remark
        self.number = number
        self.unlike = unlike
