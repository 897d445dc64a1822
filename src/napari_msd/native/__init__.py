"""The compiled cores and their interface to torch.

A missing library is not an error: `libraries` reports why it is missing, and `backend`
falls back to plain torch and reports that in a sentence.
"""

from __future__ import annotations

from napari_msd.native.aside import set_aside, take_sentences
from napari_msd.native.libraries import LibraryStatus, library_statuses
from napari_msd.native.threads import get_threads, set_threads

__all__ = [
    "LibraryStatus",
    "get_threads",
    "library_statuses",
    "set_aside",
    "set_threads",
    "take_sentences",
]
