"""Numbers in sentences."""

import pytest

from napari_msd.core.number_text import grouped


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (1000, "1\u202f000"), (1234567, "1\u202f234\u202f567")],
)
def test_thousands_are_grouped_by_narrow_spaces(number, text):
    assert grouped(number) == text
