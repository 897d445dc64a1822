"""What files say of their axes, and that nothing in them is trusted."""

import json

import numpy as np
import pytest
import tifffile

from napari_msd.images.told_axes import ToldAxes, told_axes


def ome(path, shape, axes, **metadata):
    tifffile.imwrite(path, np.zeros(shape, np.uint8), ome=True, metadata={"axes": axes, **metadata})
    return path


def test_ome_tiff_says_axes_sizes_and_channels(tmp_path):
    path = ome(
        tmp_path / "a.ome.tif",
        (2, 5, 3, 8, 9),
        "TZCYX",
        PhysicalSizeX=0.2,
        PhysicalSizeY=0.2,
        PhysicalSizeZ=0.5,
        PhysicalSizeZUnit="nm",
        Channel={"Name": ["DAPI", "GFP", "RFP"]},
    )
    told = told_axes(path)
    assert told.letters_for((2, 5, 3, 8, 9)) == "TZCYX"
    assert told.letters_for((2, 5, 8, 9)) == "TZYX"  # one layer per channel
    assert told.letters_for((2, 5, 3, 8, 10)) == ""
    assert told.channels == ("DAPI", "GFP", "RFP")
    assert told.sizes == {"Z": (0.5, "nm"), "Y": (0.2, "µm"), "X": (0.2, "µm")}


@pytest.mark.parametrize(
    ("shape", "axes"), [((6, 8, 9), "TYX"), ((6, 8, 9), "ZYX"), ((6, 8, 9), "CYX"), ((8, 9), "YX")]
)
def test_axes_of_length_one_are_left_out(tmp_path, shape, axes):
    told = told_axes(ome(tmp_path / "a.ome.tif", shape, axes))
    assert told.letters_for(shape) == axes


def test_imagej_hyperstacks_say_slices_and_frames(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        np.zeros((3, 4, 2, 8, 9), np.uint8),
        imagej=True,
        resolution=(1 / 0.1, 1 / 0.1),
        metadata={"axes": "TZCYX", "spacing": 0.3, "unit": "micron"},
    )
    told = told_axes(path)
    assert told.letters_for((3, 4, 2, 8, 9)) == "TZCYX"
    assert {letter: size for letter, (size, _) in told.sizes.items()} == pytest.approx(
        {"X": 0.1, "Y": 0.1, "Z": 0.3}
    )


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_says_axes_sizes_and_channels(tmp_path, version):
    scale = {"type": "scale", "scale": [1, 2.0, 0.5, 0.5]}
    about = {
        "multiscales": [
            {
                "axes": [
                    {"name": "c", "type": "channel"},
                    *({"name": name, "unit": "micrometer"} for name in "zyx"),
                ],
                "datasets": [{"path": "0", "coordinateTransformations": [scale]}],
            }
        ],
        "omero": {"channels": [{"label": "DAPI"}, {"label": "GFP"}]},
    }
    if version == "0.4":
        (tmp_path / ".zattrs").write_text(json.dumps(about))
    else:
        (tmp_path / "zarr.json").write_text(json.dumps({"attributes": {"ome": about}}))
    told = told_axes(tmp_path)
    assert told.letters_for((2, 9, 8, 8)) == "CZYX"
    assert told.letters_for((9, 8, 8)) == "ZYX"  # one layer per channel
    assert told.letters_for((8, 8)) == ""
    assert told.sizes["Z"] == (2.0, "micrometer")
    assert told.channels == ("DAPI", "GFP")


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"multiscales": [{"axes": 3}]}', '{"multiscales": []}', "[" * 10**5]
)
def test_nonsense_says_nothing(tmp_path, text):
    (tmp_path / ".zattrs").write_text(text)
    assert told_axes(tmp_path) is None


def test_files_that_are_none_say_nothing(tmp_path):
    assert told_axes(tmp_path / "gone.tif") is None
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"II*\0 and nothing more")
    assert told_axes(broken) is None
    plain = tmp_path / "plain.tif"
    tifffile.imwrite(plain, np.zeros((5, 8, 9), np.uint8), photometric="minisblack")
    assert told_axes(plain) is None


def test_sizes_that_make_no_sense_are_not_used(tmp_path):
    path = ome(tmp_path / "a.ome.tif", (3, 8, 9), "ZYX", PhysicalSizeX=-1.0, PhysicalSizeY=0.2)
    assert set(told_axes(path).sizes) <= {"Y"}


def test_letters_need_the_right_number_of_axes():
    told = ToldAxes("ZYX", (3, 4, 5))
    assert told.letters_for((4, 5)) == ""
