"""Shared by the tests of the trees."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from napari_msd.native import set_threads


@pytest.fixture(autouse=True)
def default_threads() -> Iterator[None]:
    yield
    set_threads(None)
