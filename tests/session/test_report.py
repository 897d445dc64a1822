"""The text of a problem report: what it says, and what it never says."""

import pytest

from napari_msd.session.report import without_folders

HOME = ["/home/ann", "C:\\Users\\Ann Lee", "C:/Users/Ann Lee", "C:\\\\Users\\\\Ann Lee"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/ann", "~"),
        ("in /home/ann/data.tif.", "in ~/data.tif."),
        ("/home/anna/x.tif", "…/x.tif"),
        ("/home/ann/.venv/lib/python3.11/x/napari_msd/a.py", "~/…/a.py"),
        (r"C:\Users\Ann Lee\x.tif", r"~\x.tif"),
        ("c:/users/ann lee/x.tif", "~/x.tif"),
        (
            'File "/opt/v/lib/python3.11/site-packages/napari_msd/trainer/engine.py", line 3',
            'File "…/napari_msd/trainer/engine.py", line 3',
        ),
        ("Cannot write '/data/Patient X, 3/cells.tif': the", "Cannot write '…/cells.tif': the"),
        ('"/srv/a/b"', '"…/b"'),
        (r"from D:\study 7\image.tif", "from …/image.tif"),
        (r"'\\server\share\p\image.tif'", "'…/image.tif'"),
        ("/dev/shm/x", "…/x"),
        ("3 / 4, and/or, 1/2 px, 20 images/s", "3 / 4, and/or, 1/2 px, 20 images/s"),
        ("https://example.org/a/b", "https://example.org/a/b"),
        ("", ""),
    ],
)
def test_folders_are_left_out(text, shown):
    assert without_folders(text, HOME) == shown
