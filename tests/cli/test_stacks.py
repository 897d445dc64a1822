"""Stacks, channels and OME-Zarr on the command line."""

import numpy as np
import pytest
import tifffile
import zarr

from napari_msd import prediction, segmenter
from napari_msd.core.box import Box
from napari_msd.core.checkpoint import ClassInfo
from napari_msd.core.space import Space
from napari_msd.images import model_file
from napari_msd.images.export import export_labels
from napari_msd.images.image_files import read_image, read_labels
from napari_msd.images.open_sink import open_sink
from napari_msd.images.result import Result

NAMES = ("DAPI", "actin", "empty")
SHAPE = (4, 40, 44)
QUICK = ("--max-steps", 2)


def stack(channels=NAMES):
    """(C, Z, Y, X): each channel has grey values of its own."""
    rng = np.random.default_rng(0)
    half = np.repeat([50.0, 150.0], SHAPE[2] // 2) + rng.normal(0, 5, SHAPE)
    by_name = {"DAPI": half, "actin": 250 - half, "empty": 0 * half + rng.normal(9, 1, SHAPE)}
    return np.stack([by_name[name] for name in channels]).astype(np.uint16)


def write_stack(path, channels=NAMES, named=True):
    """An OME-Zarr, C Z Y X."""
    group = zarr.create_group(path)
    data = stack(channels)
    group.create_array("0", data=data, chunks=(1, 1, 32, 32))
    axes = [{"name": "c", "type": "channel"}]
    axes += [{"name": k, "type": "space", "unit": "micrometer"} for k in "zyx"]
    scale = [{"type": "scale", "scale": [1.0, 2.0, 0.5, 0.5]}]
    ome = {
        "version": "0.5",
        "multiscales": [
            {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
        ],
    }
    if named:
        ome["omero"] = {"channels": [{"label": name} for name in channels]}
    group.attrs["ome"] = ome
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An OME-Zarr and its strokes."""
    folder = tmp_path_factory.mktemp("stacks")
    write_stack(folder / "cells.ome.zarr")
    strokes = np.zeros(SHAPE, np.uint8)
    strokes[2, 4:36, 6:10] = 1
    strokes[2, 4:36, 34:38] = 2
    names = {1: "background", 2: "nucleus"}
    export_labels(folder / "strokes.tif", strokes, class_names=names, axes="ZYX")
    return folder


def train(run, folder, target, *more):
    return run(
        *("train", folder / "cells.ome.zarr", "--labels", folder / "strokes.tif"),
        *("-o", target, *QUICK, *more),
    )


@pytest.fixture
def model(run, folder, tmp_path):
    code, _, err = train(run, folder, tmp_path / "m", "--mode", "2.5d", "--channels", "DAPI,actin")
    assert code == 0, err
    return tmp_path / "m.safetensors"


def test_a_model_of_neighbours_and_two_channels(model, run, folder, tmp_path):
    record = model_file.read(model)
    assert (record.channels, record.context, record.in_channels) == (("DAPI", "actin"), 1, 6)
    assert (record.axes, record.pixel_size) == ("CZYX", (0.5, 0.5))
    code, out, err = run("predict", model, folder / "cells.ome.zarr", "-o", tmp_path / "out")
    assert (code, err) == (0, "")
    result = tmp_path / "out" / "cells_segmentation.tif"
    assert out == f"{result}\n"
    labels = read_labels(result)
    assert (labels.axes, labels.scale) == ("ZYX", (2.0, 0.5, 0.5))
    assert labels.class_names == {1: "background", 2: "nucleus"}
    assert set(np.unique(labels.data)) <= {1, 2}


@pytest.mark.parametrize("mode", ["2d", "3d"])
def test_the_other_modes(run, folder, tmp_path, mode):
    code, _, err = train(run, folder, tmp_path / "m", "--mode", mode, "--channels", "2")
    assert code == 0, err
    record = model_file.read(tmp_path / "m.safetensors")
    assert (record.network_input.mode, record.channels) == (mode, ("actin",))


def test_channels_are_found_by_their_names(model, run, tmp_path):
    same = tmp_path / "same.zarr"
    write_stack(same, ("actin", "empty", "DAPI"))
    write_stack(tmp_path / "usual.zarr")
    results = []
    for name in ("same.zarr", "usual.zarr"):
        code, _, err = run("predict", model, tmp_path / name, "-o", tmp_path / "out")
        assert (code, err) == (0, "")
        stem = name.removesuffix(".zarr")
        results.append(read_labels(tmp_path / "out" / f"{stem}_segmentation.tif").data)
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("further", [False, True])
def test_what_is_learned_from_has_its_channels_in_one_order(run, folder, tmp_path, further):
    """Also of images whose files hold the same channels in another order."""
    write_stack(tmp_path / "usual.zarr")
    write_stack(tmp_path / "other.zarr", ("actin", "empty", "DAPI"))
    models = []
    for name in ("usual", "other"):
        model = tmp_path / f"{name}.safetensors"
        if further:
            code, _, err = train(run, folder, tmp_path / "m", "--seed", 3)
            assert code == 0, err
            images = [tmp_path / f"{name}.zarr"]
            more = ("--from", tmp_path / "m.safetensors")
        else:
            images, more = [tmp_path / "usual.zarr", tmp_path / f"{name}.zarr"], ()
        labels = [part for _ in images for part in ("--labels", folder / "strokes.tif")]
        code, _, err = run("train", *images, *labels, "-o", model, *QUICK, *more)
        assert (code, err) == (0, ""), err
        models.append(model_file.read(model))
    for key, weights in models[0].weights.items():
        np.testing.assert_array_equal(weights, models[1].weights[key])


def test_channels_of_other_names_are_taken_in_order_and_said(model, run, tmp_path):
    write_stack(tmp_path / "a.zarr", ("empty", "actin"))
    code, _, err = run("predict", model, tmp_path / "a.zarr", "-o", tmp_path / "out")
    assert code == 0
    assert "a.zarr has channels of other names (empty, actin) than the model" in err


def test_unnamed_channels_are_taken_in_order(model, run, tmp_path):
    write_stack(tmp_path / "a.zarr", ("DAPI", "actin"), named=False)
    code, _, err = run("predict", model, tmp_path / "a.zarr", "-o", tmp_path / "out")
    assert (code, err) == (0, "")


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ("DAPI,GFP", "There is no channel 'GFP'"),
        ("0", "There is no channel '0'"),
        ("4", "3 channels: 1 (DAPI), 2 (actin), 3 (empty)"),
        ("1,DAPI", "names a channel twice"),
        ("1", "names 1 channel of"),
        ("", "There is no channel ''"),
    ],
)
def test_wrong_channels_are_one_sentence(model, run, folder, tmp_path, asked, sentence):
    image = folder / "cells.ome.zarr"
    code, _, err = run("predict", model, image, "--channels", asked, "-o", tmp_path / "out")
    assert code == 2
    assert sentence in err
    assert err.count("\n") == 1


def test_too_many_channels_without_names(model, run, tmp_path):
    write_stack(tmp_path / "a.zarr", named=False)
    code, _, err = run("predict", model, tmp_path / "a.zarr", "-o", tmp_path / "out")
    assert code == 2
    assert "has 3 channels, 1 to 3, and the model needs 2 (DAPI, actin); say which" in err
    chosen = ("--channels", "1,2", "-o", tmp_path / "out")
    assert run("predict", model, tmp_path / "a.zarr", *chosen)[0] == 0


@pytest.mark.parametrize("what", ["labels", "probabilities", "uncertainty"])
@pytest.mark.parametrize("format", ["tiff", "npy", "ome-zarr"])
def test_every_result_in_every_format(model, run, folder, tmp_path, what, format):
    options = ("-o", tmp_path / "out", "--format", format, "--what", what)
    code, out, err = run("predict", model, folder / "cells.ome.zarr", *options)
    assert (code, err) == (0, "")
    shape = read_image(out.strip()).data.shape
    assert sorted(shape) == sorted((*SHAPE, 2) if what == "probabilities" else SHAPE)


def test_png_holds_no_stack(model, run, folder, tmp_path):
    options = ("-o", tmp_path / "out", "--format", "png")
    code, _, err = run("predict", model, folder / "cells.ome.zarr", *options)
    assert code == 2
    assert "PNG holds one plane" in err


def test_unknown_words(model, run, folder, tmp_path):
    image = folder / "cells.ome.zarr"
    for option, word, sentence in (
        ("--what", "masks", "choose one of labels"),
        ("--format", "gif", "choose one of tiff"),
        ("--mode", "3d", "trained with --mode 2.5d, not 3d"),
        ("--context", "2", "trained with --context 1, not 2"),
    ):
        code, _, err = run("predict", model, image, "-o", tmp_path / "out", option, word)
        assert code == 2
        assert sentence in err
    code, _, err = train(run, folder, tmp_path / "x", "--mode", "4d")
    assert code == 2
    assert "mode must be one of 2d, 2.5d, 3d" in err
    code, _, err = train(run, folder, tmp_path / "x", "--from", model, "--mode", "2d")
    assert code == 2
    assert "leave out --preset, --seed, --mode" in err


def test_an_image_without_slices_is_one_sentence(model, run, tmp_path):
    tifffile.imwrite(tmp_path / "plane.ome.tif", stack()[:2, 0], metadata={"axes": "CYX"}, ome=True)
    code, _, err = run("predict", model, tmp_path / "plane.ome.tif", "-o", tmp_path / "out")
    assert code == 2
    assert "this image has none; give a stack" in err


def test_axes_of_a_file_that_does_not_say(run, folder, tmp_path):
    np.save(tmp_path / "a.npy", stack().transpose(1, 0, 2, 3))  # Z, C, Y, X
    code, _, err = run(
        *("train", tmp_path / "a.npy", "--labels", folder / "strokes.tif", "--axes", "ZCYX"),
        *("-o", tmp_path / "m", "--mode", "2.5d", "--context", "2", *QUICK),
    )
    assert code == 0, err
    record = model_file.read(tmp_path / "m.safetensors")
    assert (record.n_image_channels, record.context, record.axes) == (3, 2, "ZCYX")


def test_strokes_in_another_order_than_the_image(run, folder, tmp_path):
    np.save(tmp_path / "image.npy", stack(("DAPI",))[0].transpose(2, 1, 0))
    code, _, err = run(
        *("train", tmp_path / "image.npy", "--axes", "XYZ", "--labels", folder / "strokes.tif"),
        *("-o", tmp_path / "m", *QUICK),
    )
    assert code == 0, err


def test_strokes_in_an_ome_zarr(run, folder, tmp_path):
    classes = (ClassInfo(1, "background", "#0072b2"), ClassInfo(2, "nucleus", "#e69f00"))
    sink = open_sink(tmp_path / "s.ome.zarr", Result(Space("ZYX", SHAPE), "labels", classes))
    strokes = read_labels(folder / "strokes.tif").data
    sink.write(Box.whole(0, SHAPE), strokes)
    sink.close()
    code, _, err = run(
        *("train", folder / "cells.ome.zarr", "--labels", tmp_path / "s.ome.zarr"),
        *("-o", tmp_path / "m", *QUICK),
    )
    assert code == 0, err
    record = model_file.read(tmp_path / "m.safetensors")
    assert record.class_names == {1: "background", 2: "nucleus"}
    (tmp_path / "s.ome.zarr" / "zarr.json").write_text("{", "utf-8")
    code, _, err = run(
        *("train", folder / "cells.ome.zarr", "--labels", tmp_path / "s.ome.zarr"),
        *("-o", tmp_path / "m", *QUICK),
    )
    assert code == 2
    assert "cannot be read as an image" in err


def test_a_folder_holds_zarr_images_and_results_are_no_images(model, run, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    write_stack(images / "a.ome.zarr")
    tifffile.imwrite(images / "b.ome.tif", stack()[:2], metadata={"axes": "CZYX"}, ome=True)
    (images / "damaged.zarr").mkdir()
    (images / "damaged.zarr" / "zarr.json").write_text("{", "utf-8")
    for _ in range(2):  # the second time the results lie there, too
        code, out, err = run("predict", model, images, "-o", images, "--format", "ome-zarr")
        assert code == 2
        assert len(out.splitlines()) == 2
        assert "2 of 3 images segmented" in err
        assert "not segmented: damaged.zarr" in err


def test_an_interrupted_run_goes_on(model, run, folder, tmp_path, monkeypatch):
    predicted = []
    answer = prediction.Answers.of

    def interrupted(self, pixels, tile):
        if len(predicted) == 2:
            raise KeyboardInterrupt
        return counted(self, pixels, tile)

    def counted(self, pixels, tile):
        predicted.append(tile)
        return answer(self, pixels, tile)

    arguments = ("predict", model, folder / "cells.ome.zarr", "-o", tmp_path / "out")
    arguments += ("--format", "ome-zarr")
    monkeypatch.setattr(prediction.Answers, "of", interrupted)
    code, out, err = run(*arguments)
    assert (code, out) == (130, "")
    assert "run the same command again to go on" in err
    assert not (tmp_path / "out" / "cells_segmentation.ome.zarr").exists()

    monkeypatch.setattr(prediction.Answers, "of", counted)
    code, _, err = run(*arguments)
    assert (code, err) == (0, "")
    assert len(predicted) == len(set(predicted)) == SHAPE[0]
    assert run(*arguments)[0] == 0
    assert len(predicted) == SHAPE[0]  # all of it is there already


def test_an_interrupted_tiff_leaves_nothing(model, run, folder, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(segmenter, "predict_into", interrupted)
    code, _, err = run("predict", model, folder / "cells.ome.zarr", "-o", tmp_path / "out")
    assert code == 130
    assert "nothing of it was written" in err
    assert list((tmp_path / "out").iterdir()) == []
