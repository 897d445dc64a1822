"""The compiled cores, and what stands between them and torch.

Nothing here fails because a library is missing: `libraries` says why, `backend`
falls back to plain torch and says so in a sentence.
"""

from __future__ import annotations

from napari_msd.native.libraries import LibraryStatus, library_statuses
from napari_msd.native.threads import get_threads, set_threads

__all__ = ["LibraryStatus", "get_threads", "library_statuses", "set_threads"]
