"""The command line as a person meets it: exit codes, one clear line, no traceback."""

import os
import re
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_msd import samples
from napari_msd.core.errors import ExportError
from napari_msd.images import model_file
from napari_msd.images.export import export_labels
from napari_msd.images.image_files import read_labels

QUICK = ("--max-steps", 2)


@pytest.fixture(scope="module")
def painted(tmp_path_factory):
    """A small image of the sample with its strokes, as files with pixel size and class names."""
    folder = tmp_path_factory.mktemp("painted")
    sample = samples.load("nuclei")
    part = np.s_[220:380, 420:620]
    tifffile.imwrite(
        folder / "image.tif",
        sample.image[part],
        imagej=True,
        resolution=(4, 4),
        metadata={"axes": "YX", "unit": "um"},
    )
    export_labels(folder / "strokes.tif", sample.strokes[part], class_names=sample.class_names)
    return folder


@pytest.fixture(scope="module")
def model(painted):
    from napari_msd.segmenter import MSDSegmenter

    segmenter = MSDSegmenter(depth=4)
    image = tifffile.imread(painted / "image.tif")
    segmenter.fit(image, read_labels(painted / "strokes.tif").data, max_steps=3)
    return segmenter.save(painted / "given.safetensors")


def one_line(err):
    assert err.startswith("napari-msd: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


def test_help_needs_no_torch():
    code = (
        "import sys; sys.argv = ['napari-msd', '--help']\n"
        "import napari_msd.cli.app as cli\n"
        "try: cli.main()\n"
        "except SystemExit as end: assert not end.code\n"
        "assert not {'torch', 'napari', 'qtpy', 'skimage'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for command in ("demo", "train", "predict", "info"):
        assert command in done.stdout


def test_version(run):
    from napari_msd import __version__

    assert run("--version") == (0, f"{__version__}\n", "")


def test_info_says_who_computes_and_why(run):
    code, out, _ = run("info")
    assert code == 0
    for word in ("training", "cpu core", "cuda core", "GPU", "versions", "torch 2."):
        assert word in out


def test_info_says_what_a_model_is_for(run, model, tmp_path):
    code, out, _ = run("info", model)
    assert code == 0
    for line in ("classes     1 class 1, 2 class 2", "sees        planes (2-D)", "channels    1\n"):
        assert line in out

    record = model_file.read(model)
    shapes = model_file.parameter_shapes(6, 2, 1, 1)
    seen = replace(
        record,
        weights={name: np.zeros(shape, np.float32) for name, shape in shapes},
        in_channels=6,
        mean=(0.0,) * 6,
        std=(1.0,) * 6,
        depth=1,
        dilations=(1,),
        trees=None,
        context=1,
        channels=("DAPI", "actin"),
        axes="CZYX",
    ).write(tmp_path / "seen.safetensors")
    code, out, _ = run("info", seen)
    assert code == 0
    assert "planes with 1 slice on each side (2.5-D)" in out
    assert "channels    2: DAPI, actin" in out

    code, out, err = run("info", tmp_path / "none.safetensors")
    assert (code, out) == (2, "")
    assert "There is no model file" in one_line(err)


def test_train_and_predict(run, painted, tmp_path):
    path = tmp_path / "nuclei.safetensors"
    code, out, _ = run(
        "train",
        painted / "image.tif",
        "--labels",
        painted / "strokes.tif",
        "-o",
        path,
        "--max-steps",
        5,
        "--seed",
        3,
    )
    assert code == 0
    assert out.startswith(str(path))
    record = model_file.read(path)
    assert (record.seed, record.steps) == (3, 5)
    assert record.class_names == {1: "background", 2: "nucleus"}
    assert record.pixel_size == (0.25, 0.25)
    assert record.units == ("micrometer", "micrometer")

    code, out, _ = run("predict", path, painted / "image.tif", "-o", tmp_path / "new" / "folder")
    assert code == 0
    labels = read_labels(out.strip())
    assert labels.data.shape == (160, 200)
    assert set(np.unique(labels.data)) <= {1, 2}
    assert labels.scale == (0.25, 0.25)
    assert labels.class_names == record.class_names


@pytest.mark.parametrize(("name", "suffix"), [("tiff", ".tif"), ("png", ".png"), ("npy", ".npy")])
def test_formats_of_predict(run, painted, model, tmp_path, name, suffix):
    code, _, _ = run("predict", model, painted / "image.tif", "-o", tmp_path, "--format", name)
    assert code == 0
    assert read_labels(tmp_path / f"image_segmentation{suffix}").data.shape == (160, 200)


def test_stack_keeps_its_axes(run, model, tmp_path):
    stack = np.random.default_rng(0).integers(0, 255, (3, 40, 50)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.ome.tif", stack, ome=True, metadata={"axes": "TYX"})
    assert run("predict", model, tmp_path / "a.ome.tif", "-o", tmp_path)[0] == 0
    labels = read_labels(tmp_path / "a_segmentation.tif")
    assert (labels.axes, labels.data.shape) == ("TYX", (3, 40, 50))


def test_images_of_one_name_do_not_overwrite_each_other(run, painted, model, tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "image.tif").write_bytes((painted / "image.tif").read_bytes())
    images = [tmp_path / folder / "image.tif" for folder in ("one", "two")]
    code, out, _ = run("predict", model, *images, "-o", tmp_path)
    assert code == 0
    assert len(set(out.split())) == 2


def test_bad_image_does_not_stop_the_others(run, painted, model, tmp_path):
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / "colour.png")
    (tmp_path / "text.tif").write_text("not an image")
    code, out, err = run(
        "predict",
        model,
        tmp_path / "text.tif",
        tmp_path / "colour.png",
        painted / "image.tif",
        "-o",
        tmp_path,
    )
    assert code == 2
    assert out == f"{tmp_path / 'image_segmentation.tif'}\n"
    first, second, summary = err.splitlines()
    assert "text.tif" in first
    assert "colour.png" in second
    assert "channel" in second
    assert summary == (
        f"napari-msd: 1 of 3 images segmented into {tmp_path}; not segmented: text.tif, colour.png."
    )


BAD_TRAINING = {
    "missing image": ("none.tif strokes.tif", "There is no image"),
    "missing labels": ("image.tif none.tif", "There is no image"),
    "not an image": ("text.tif strokes.tif", "cannot be read as an image"),
    "constant image": ("constant.npy square.npy", "same value"),
    "NaN image": ("nan.npy square.npy", "no numbers"),
    "one pixel": ("pixel.npy pixel_labels.npy", "two classes|same value"),
    "no strokes": ("noise.npy nothing.npy", "annotation is empty"),
    "one class": ("noise.npy one_class.npy", "two classes"),
    "other shape": ("noise.npy small.npy", "shape"),
    "labels with fractions": ("noise.npy fractions.npy", "whole numbers"),
    "negative labels": ("noise.npy negative.npy", "0 .*to 255"),
}


@pytest.fixture(scope="module")
def bad(painted):
    """A folder with everything that can be wrong with an image."""
    rng = np.random.default_rng(0)
    square = np.zeros((32, 32), np.uint8)
    square[4:8, 4:20], square[12:16, 4:20] = 1, 2
    noise = rng.normal(size=(32, 32)).astype(np.float32)
    arrays = {
        "square": square,
        "noise": noise,
        "nan": np.full((32, 32), np.nan, np.float32),
        "constant": np.full((32, 32), 7.0, np.float32),
        "pixel": np.ones((1, 1)),
        "pixel_labels": np.ones((1, 1), np.uint8),
        "nothing": np.zeros((32, 32), np.uint8),
        "one_class": np.minimum(square, 1),
        "small": square[:16],
        "fractions": square / 4,
        "negative": square.astype(int) - 1,
    }
    for name, array in arrays.items():
        np.save(painted / f"{name}.npy", array)
    (painted / "text.tif").write_text("not an image")
    return painted


@pytest.mark.parametrize("case", BAD_TRAINING)
def test_bad_training_data_is_one_line(run, bad, tmp_path, case):
    files, words = BAD_TRAINING[case]
    image, labels = (bad / name for name in files.split())
    target = tmp_path / "m.safetensors"
    code, out, err = run("train", image, "-l", labels, "-o", target, "--max-steps", 2)
    assert (code, out) == (2, "")
    assert re.search(words, one_line(err)), err
    assert not target.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--preset", "huge"], "preset 'huge'; choose one of quick"),
        (["--device", "tpu"], "device 'tpu'; choose one of auto"),
        (["--seconds", "0"], "seconds"),
        (["--max-steps", "-1"], "max_steps"),
        (["--axes", "QQ"], "axes"),
        (["--axes", "ZYX"], "axes"),
    ],
)
def test_bad_options_are_one_line(run, painted, tmp_path, options, words):
    arguments = [painted / "image.tif", "-l", painted / "strokes.tif", "-o", tmp_path / "m"]
    code, _, err = run("train", *arguments, *options)
    assert code == 2
    assert words in one_line(err)


def test_each_image_needs_its_labels(run, painted, tmp_path):
    images = [painted / "image.tif"] * 2
    code, _, err = run("train", *images, "-l", painted / "strokes.tif", "-o", tmp_path / "m")
    assert code == 2
    assert "2 images but 1 label" in one_line(err)


def test_images_of_different_axes(run, painted, tmp_path):
    tifffile.imwrite(tmp_path / "z.tif", np.zeros((5, 20, 20), np.uint8))
    arguments = ["-l", painted / "strokes.tif"] * 2
    code, _, err = run(
        "train", painted / "image.tif", tmp_path / "z.tif", *arguments, "-o", tmp_path / "m"
    )
    assert code == 2
    assert "axes ZYX" in one_line(err)


def test_model_that_could_not_be_written_is_said_before_training(run, painted, tmp_path):
    arguments = ["train", painted / "image.tif", "-l", painted / "strokes.tif", "-o"]
    code, _, err = run(*arguments, tmp_path / "none" / "m.safetensors")
    assert code == 2
    assert "There is no folder" in one_line(err)
    code, _, err = run(*arguments, tmp_path)
    assert code == 2
    assert "is a folder" in one_line(err)


@pytest.mark.parametrize("content", [None, b"", b"not a model", b"\x80\x04K\x01."])
def test_bad_model_is_one_line(run, painted, tmp_path, content):
    path = tmp_path / "m.safetensors"
    if content is not None:
        path.write_bytes(content)
    code, out, err = run("predict", path, painted / "image.tif", "-o", tmp_path / "out")
    assert (code, out) == (2, "")
    assert "model" in one_line(err)
    assert not (tmp_path / "out").exists()


def test_folder_that_is_a_file(run, painted, model, tmp_path):
    (tmp_path / "out").write_text("")
    code, _, err = run("predict", model, painted / "image.tif", "-o", tmp_path / "out")
    assert code == 2
    assert "a file has this name" in one_line(err)


# --- before the training, not after it ---------------------------------------------------------


@pytest.fixture
def no_training(monkeypatch):
    """Whatever trains fails the test."""
    from napari_msd.segmenter import MSDSegmenter

    monkeypatch.setattr(MSDSegmenter, "fit", lambda *a, **k: pytest.fail("it was trained"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("x.pt", "cannot be saved as 'x.pt'; end its name in .safetensors"),
        ("model_0.5", "end its name in .safetensors"),
        ("x" * 300, "name is too long"),
        ("none/x", "There is no folder"),
        ("taken", "is a folder; name a file"),
    ],
)
def test_a_name_that_cannot_be_is_said_before_training(
    run, painted, tmp_path, no_training, name, words
):
    """`-o x.pt` trained, and became `x.pt.safetensors`."""
    (tmp_path / "taken.safetensors").mkdir()
    path = f"{tmp_path}/{name}"
    code, out, err = run("train", painted / "image.tif", "-l", painted / "strokes.tif", "-o", path)
    assert (code, out) == (2, "")
    assert words in one_line(err)
    assert [p.name for p in tmp_path.iterdir()] == ["taken.safetensors"]


def test_a_folder_that_cannot_be_written_to_is_said_before_training(
    run, painted, tmp_path, no_training, monkeypatch
):
    def refuse(path, mode):
        raise PermissionError(13, "no")

    monkeypatch.setattr("napari_msd.images.atomic.open_new", refuse)
    code, _, err = run(
        "train", painted / "image.tif", "-l", painted / "strokes.tif", "-o", tmp_path / "m"
    )
    assert code == 2
    assert "may not be written to" in one_line(err)


def test_names_in_any_language_are_trained_with(run, painted, tmp_path):
    """It trained to the end, then refused to write: "must be a printable text"."""
    names = {1: "می\u200cخواهم", 2: "👩\u200d👩\u200d👧"}
    strokes = read_labels(painted / "strokes.tif").data
    export_labels(tmp_path / "s.tif", strokes, class_names=names)
    code, _, _ = run(
        "train", painted / "image.tif", "-l", tmp_path / "s.tif", "-o", tmp_path / "m", *QUICK
    )
    assert code == 0
    assert model_file.read(tmp_path / "m.safetensors").class_names == names
    assert run("predict", tmp_path / "m.safetensors", painted / "image.tif", "-o", tmp_path)[0] == 0
    assert read_labels(tmp_path / "image_segmentation.tif").class_names == names


def test_odd_axes_and_units_of_files_do_not_prevent_saving(run, painted, tmp_path):
    tifffile.imwrite(
        tmp_path / "a.ome.tif",
        tifffile.imread(painted / "image.tif"),
        ome=True,
        metadata={
            "axes": "YX",
            "PhysicalSizeX": 1e999,
            "PhysicalSizeY": 2.0,
            "PhysicalSizeYUnit": "a\u00adb",
        },
    )
    arguments = ["-l", painted / "strokes.tif", "-o", tmp_path / "m", *QUICK]
    assert run("train", tmp_path / "a.ome.tif", *arguments)[0] == 0
    record = model_file.read(tmp_path / "m.safetensors")
    assert (record.pixel_size, record.units) == ((2.0, 1.0), ("a\u00adb", "pixel"))
    assert run("train", painted / "image.tif", *arguments, "--axes", "yx")[0] == 0
    assert model_file.read(tmp_path / "m.safetensors").axes == "YX"
    code, _, err = run("train", painted / "image.tif", *arguments, "--axes", "YÄ")
    assert code == 2
    assert "letters" in one_line(err)


def test_a_disk_that_is_full_at_the_end_does_not_lose_the_model(
    run, painted, tmp_path, monkeypatch
):
    from napari_msd.images.model_file import ModelRecord

    write, target = ModelRecord.write, tmp_path / "m.safetensors"

    def full(record, path):
        if path == target:
            raise ExportError("Cannot write 'm': the disk is full.")
        return write(record, path)

    monkeypatch.setattr(ModelRecord, "write", full)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code, out, err = run(
        "train", painted / "image.tif", "-l", painted / "strokes.tif", "-o", target, *QUICK
    )
    assert code == 2
    assert "disk is full. The model is saved as" in one_line(err)
    assert model_file.read(out.partition(": ")[0]).steps == 2


# --- patterns and folders ------------------------------------------------------------------------


@pytest.fixture
def folder(painted, tmp_path):
    """Two images of the sample, a result, a hidden file, a text, a subfolder."""
    inside = tmp_path / "in"
    (inside / "sub.tif").mkdir(parents=True)
    content = (painted / "image.tif").read_bytes()
    for name in ("b.tif", "a.TIF", ".hidden.tif", "a_segmentation.tif", "a_segmentation_2.tif"):
        (inside / name).write_bytes(content)
    (inside / "notes.txt").write_text("hello")
    return inside


@pytest.mark.parametrize("what", ["*.[tT][iI][fF]", "", "../*n/*[ab].*"])
def test_patterns_and_folders_are_expanded(run, model, folder, tmp_path, what):
    """Windows' shells do not."""
    for result in folder.glob("*_segmentation*"):
        result.unlink() if what.startswith("*") else None
    (folder / "sub.tif").rmdir()
    code, out, err = run("predict", model, f"{folder}/{what}", "-o", tmp_path / "out")
    assert code == 0
    assert [path.rpartition("/")[2] for path in out.replace("\\", "/").split()] == [
        "a_segmentation.tif",
        "b_segmentation.tif",
    ]
    assert f"2 images segmented into {tmp_path / 'out'}." in one_line(err)


def test_a_name_with_brackets_is_a_name(run, painted, model, tmp_path):
    (tmp_path / "a[1].tif").write_bytes((painted / "image.tif").read_bytes())
    assert run("predict", model, tmp_path / "a[1].tif", "-o", tmp_path)[0] == 0
    assert (tmp_path / "a[1]_segmentation.tif").exists()


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("*.czi", "No file matches '"),
        ("empty", "no images in the folder"),
        ("none.tif", "no image"),
    ],
)
def test_nothing_to_segment_is_said(run, model, tmp_path, what, words):
    (tmp_path / "empty").mkdir()
    code, out, err = run("predict", model, tmp_path / what, "-o", tmp_path / "out")
    assert (code, out) == (2, "")
    assert words in one_line(err)


def test_an_image_is_never_written_over(run, painted, model, tmp_path):
    content = (painted / "image.tif").read_bytes()
    for name in ("a.tif", "a_segmentation.tif"):
        (tmp_path / name).write_bytes(content)
    images = [tmp_path / "a.tif", tmp_path / "a_segmentation.tif"]
    assert run("predict", model, *images, "-o", tmp_path)[0] == 0
    assert (tmp_path / "a_segmentation.tif").read_bytes() == content
    assert (tmp_path / "a_segmentation_2.tif").exists()


def test_training_on_patterns(run, painted, tmp_path):
    for number in (1, 2):
        for name in ("image", "strokes"):
            content = (painted / f"{name}.tif").read_bytes()
            (tmp_path / f"{name}{number}.tif").write_bytes(content)
    arguments = ["-o", tmp_path / "m", *QUICK]
    images, labels = tmp_path / "image*.tif", tmp_path / "strokes*.tif"
    assert run("train", images, "-l", labels, *arguments)[0] == 0
    code, _, err = run("train", images, "-l", tmp_path / "strokes1.tif", *arguments)
    assert code == 2
    assert "2 images but 1 label file" in one_line(err)
    code, _, err = run("train", tmp_path / "none*", "-l", labels, *arguments)
    assert code == 2
    assert "No file matches" in one_line(err)


# --- images unlike those of the training ---------------------------------------------------------


def test_an_image_unlike_those_of_the_training_is_named(run, painted, tmp_path):
    """Every pixel became one class, and only the file's name was printed."""
    from napari_msd.segmenter import MSDSegmenter

    image = tifffile.imread(painted / "image.tif")
    segmenter = MSDSegmenter(depth=4, normalise="first")
    segmenter.fit(image, read_labels(painted / "strokes.tif").data, max_steps=3)
    model = segmenter.save(tmp_path / "given.safetensors")
    tifffile.imwrite(tmp_path / "like.tif", image)
    tifffile.imwrite(tmp_path / "bright.tif", image.astype(np.uint16) * 16)
    holed = image.astype(np.float32)
    holed[:16] = np.nan
    tifffile.imwrite(tmp_path / "holed.tif", holed)
    images = [tmp_path / f"{name}.tif" for name in ("like", "bright", "holed")]
    code, out, err = run("predict", model, *images, "-o", tmp_path / "out")
    assert (code, len(out.split())) == (0, 3)
    bright, holed, summary = err.splitlines()
    assert bright == (
        "napari-msd: warning: bright.tif is much brighter than those the model was trained on; "
        "what it predicts may be wrong."
    )
    assert holed.startswith("napari-msd: warning: holed.tif has NaN or infinite values (10.0% of")
    assert summary == (
        f"napari-msd: 3 images segmented into {tmp_path / 'out'}; "
        "1 of them looks unlike the training images: bright.tif."
    )
    code, _, err = run("predict", model, images[1], "-o", tmp_path / "out")
    assert (code, len(err.splitlines())) == (0, 2)
    code, _, err = run("predict", model, images[0], "-o", tmp_path / "out")
    assert (code, err) == (0, "")


def test_images_of_other_grey_values_are_learned_from_together(run, painted, tmp_path):
    image = tifffile.imread(painted / "image.tif")
    tifffile.imwrite(tmp_path / "bright.tif", image.astype(np.uint16) * 16)
    images = [painted / "image.tif", tmp_path / "bright.tif"]
    labels = ["-l", painted / "strokes.tif"] * 2
    code, _, err = run("train", *images, *labels, "-o", tmp_path / "m", *QUICK)
    assert code == 0
    assert "warning" not in err  # each is normalised by itself


# --- stopping and going on ------------------------------------------------------------------------


def send_while_learning(monkeypatch, *signals):
    """Send these signals to this process when `fit` tells its progress for the first time."""
    from napari_msd.segmenter import MSDSegmenter

    fit = MSDSegmenter.fit
    left = list(signals)

    def with_signals(segmenter, *arguments, callback, **options):
        def tell(progress):
            callback(progress)
            while left:
                signal.raise_signal(left.pop(0))
            return callback(progress)

        return fit(segmenter, *arguments, callback=tell, **options)

    monkeypatch.setattr(MSDSegmenter, "fit", with_signals)


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_ctrl_c_keeps_the_best_so_far(run, painted, tmp_path, monkeypatch, name, code):
    """It lost everything, without a word."""
    number = getattr(signal, name)
    before = signal.getsignal(number)
    send_while_learning(monkeypatch, number)
    path = tmp_path / "m.safetensors"
    arguments = [painted / "image.tif", "-l", painted / "strokes.tif", "-o", path]
    found, out, err = run("train", *arguments, "--seconds", 1e6)
    assert found == code
    steps = model_file.read(path).steps
    made = int(
        re.search(r"Stopped after ([0-9]+) steps?; the best network so far is", one_line(err))[1]
    )
    assert 0 <= steps <= made
    assert out.startswith(str(path))
    assert signal.getsignal(number) is before


def test_a_second_ctrl_c_ends_at_once(run, painted, tmp_path, monkeypatch):
    send_while_learning(monkeypatch, signal.SIGINT, signal.SIGINT)
    arguments = [painted / "image.tif", "-l", painted / "strokes.tif", "-o", tmp_path / "m"]
    code, out, err = run("train", *arguments, "--seconds", 1e6)
    assert (code, out) == (130, "")
    assert "Stopped at once; the training was not saved." in one_line(err)
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_before_the_first_step(run, painted, tmp_path, monkeypatch):
    from napari_msd.training import Trainer

    monkeypatch.setattr(Trainer, "step", lambda self: signal.raise_signal(signal.SIGINT))
    arguments = [painted / "image.tif", "-l", painted / "strokes.tif", "-o", tmp_path / "m"]
    code, out, err = run("train", *arguments, "--seconds", 1e6)
    assert (code, out) == (130, "")
    assert "Stopped before the first step; nothing was written." in one_line(err)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="sends a signal to another process")
def test_ctrl_c_of_a_real_process(painted, tmp_path):
    tell = (
        "import napari_msd.cli.train as t, napari_msd.cli.app as c, sys\n"
        "class Told(t.Stop):\n"
        "    def __setattr__(self, name, value):\n"
        "        super().__setattr__(name, value)\n"
        "        if name == 'learning' and value: print('learning', flush=True)\n"
        "t.Stop = Told\n"
        "sys.argv = ['napari-msd', *sys.argv[1:]]\n"
        "c.main()"
    )
    files = [painted / "image.tif", "-l", painted / "strokes.tif", "-o", tmp_path / "m.safetensors"]
    command = [sys.executable, "-c", tell, "train", *map(str, files), "--seconds", "1e6"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        try:
            assert process.stdout.readline() == "learning\n"
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 130, err
    assert "the best network so far is saved as" in one_line(err)
    assert model_file.read(tmp_path / "m.safetensors").n_classes == 2


def test_training_on_a_model(run, painted, model, tmp_path):
    arguments = ["train", painted / "image.tif", "-l", painted / "strokes.tif", "--from", model]
    code, _, _ = run(*arguments, "-o", tmp_path / "m", *QUICK)
    assert code == 0
    record = model_file.read(tmp_path / "m.safetensors")
    assert (record.depth, record.settings["depth"]) == (4, 4)
    assert record.steps > model_file.read(model).steps
    for option in (["--preset", "paper"], ["--seed", 0]):
        code, _, err = run(*arguments, "-o", tmp_path / "m", *option)
        assert code == 2
        assert "keeps the model's network" in one_line(err)
    code, _, err = run(*arguments[:-1], tmp_path / "none", "-o", tmp_path / "m")
    assert code == 2
    assert "There is no model file" in one_line(err)


@pytest.mark.parametrize("command", ["", "train", "predict", "info", "bench", "demo"])
def test_no_line_of_the_help_is_cut(run, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    code, out, _ = run(*command.split(), "--help")
    assert code == 0
    assert "..." not in re.sub(r"\[ARGS\]\.\.\.|\{IMAGE\}\.\.\.|IMAGE\.\.\.", "", out)


def test_usage_errors_exit_with_2(run):
    for arguments in (["nonsense"], ["train"], ["info", "--nonsense"], ["train", "a", "-o", "b"]):
        code, out, err = run(*arguments)
        assert (code, out) == (2, "")
        assert "--help" in one_line(err)


def test_unknown_format(run, painted, model, tmp_path):
    image = painted / "image.tif"
    code, _, err = run("predict", model, image, "-o", tmp_path / "out", "--format", "jpg")
    assert code == 2
    assert "choose one of tiff, png, npy" in one_line(err)
    assert not (tmp_path / "out").exists()


def test_without_arguments_the_help(run):
    code, out, _ = run()
    assert code == 0
    assert "Commands:" in out


@pytest.mark.parametrize(
    ("value", "headless"), [(None, False), ("", False), ("0", False), ("1", True), ("true", True)]
)
def test_demo_is_unattended_when_asked(run, monkeypatch, tmp_path, value, headless):
    from napari_msd.cli import demo

    calls = []
    monkeypatch.setattr(demo, "run", lambda *args, **kwargs: calls.append((args, kwargs)))
    if value is None:
        monkeypatch.delenv("HEADLESS", raising=False)
    else:
        monkeypatch.setenv("HEADLESS", value)
    assert run("demo", "-o", tmp_path, "--seconds", 5)[0] == 0
    assert calls == [((tmp_path,), {"headless": headless, "seconds": 5.0})]
