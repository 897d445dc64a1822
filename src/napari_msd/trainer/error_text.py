"""What an error in the trainer's work is called for the person."""

from __future__ import annotations

from napari_msd.core.errors import MSDError, OutOfMemoryError
from napari_msd.inference.out_of_memory import is_out_of_memory


def sentence_of(error: BaseException) -> str:
    """One sentence for the person; empty if the error is a mistake of ours."""
    if isinstance(error, MSDError):
        return str(error)
    if is_out_of_memory(error):
        return str(
            OutOfMemoryError(
                "The device has too little memory to train this network; "
                "choose the CPU, or a preset of smaller depth."
            )
        )
    return ""
