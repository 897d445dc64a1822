"""The package's exceptions: each message is one sentence for the user that says what to do.

The GUI and the command line show ``str(error)`` as it is; the user never sees a traceback of
these errors.
"""

from __future__ import annotations

MAX_SHOWN = 80
"""Maximum characters of a value in a message."""


def shown(value: object) -> str:
    """Format a value for an error message: like ``repr``, but never long.

    Values may come from files of unknown origin; some are megabytes long.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 256:
        return "a huge number"  # Python refuses to format very large ones
    if isinstance(value, str | bytes | list | tuple) and len(value) > MAX_SHOWN:
        value = value[:MAX_SHOWN]
    try:
        text = repr(value)
    except ValueError:  # a huge number inside
        text = f"this {type(value).__name__}"
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"


class MSDError(Exception):
    """Everything this package raises on purpose."""


class BadInputError(MSDError, ValueError):
    """An input that cannot be used; the message says what to give instead."""


class StrokesError(BadInputError):
    """No strokes, strokes of one class only, or strokes outside the image."""


class ImageError(BadInputError):
    """An image that cannot be used for training: empty, constant, or of a wrong shape."""


class SettingsError(BadInputError):
    """An unknown preset, or a setting outside its range."""


class ModelFileError(BadInputError):
    """A model file that is missing, damaged, of another program, or made for other images."""


class ExportError(MSDError, OSError):
    """A result could not be written; existing files are unchanged."""


class SessionError(MSDError):
    """A session file that cannot be opened, written or moved; no session was changed by that."""


class SessionInUse(SessionError):  # noqa: N818 - says what is the case, as its callers ask
    """A session that another window, process or machine has open."""


class SessionDamaged(SessionError):  # noqa: N818
    """A file of which nothing can be read as a session; it is left as it is."""


class TrainerError(MSDError, RuntimeError):
    """The trainer process could not start, or ended before its work was done."""


class OutOfMemoryError(MSDError, MemoryError):
    """The device has too little memory for this image or network."""


class ImageWarning(UserWarning):
    """An image is used, but the result may not be what the user expects.

    Filter it as any warning: ``warnings.simplefilter("ignore", ImageWarning)``, or ``"error"``
    to stop at the first.

    Parameters
    ----------
    remark
        What to say about the image, like "is much brighter than ...", without a full stop.
    number
        Index of the image among several, from 0.
    unlike
        Whether its grey values differ from those of the training images.
    """

    def __init__(self, remark: str, number: int | None = None, *, unlike: bool = False) -> None:
        name = "This image" if number is None else f"Image {number + 1}"
        super().__init__(f"{name} {remark}.")
        self.remark = remark
        self.number = number
        self.unlike = unlike
