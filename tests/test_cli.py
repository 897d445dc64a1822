"""The command line as a person meets it: exit codes, one clear line, no traceback."""

import re
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_msd import cli, sample_data
from napari_msd.io import model_file
from napari_msd.io.export import export_labels
from napari_msd.io.images import read_labels


@pytest.fixture
def run(capsys, monkeypatch):
    """Run a command in this process: (exit code, stdout, stderr)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["napari-msd", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture(scope="module")
def painted(tmp_path_factory):
    """A small image of the sample with its strokes, as files with pixel size and class names."""
    folder = tmp_path_factory.mktemp("painted")
    sample = sample_data.load("nuclei")
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
        "import napari_msd.cli as cli\n"
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
    first, second = err.splitlines()
    assert "text.tif" in first
    assert "colour.png" in second
    assert "channel" in second


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
    from napari_msd import demo

    calls = []
    monkeypatch.setattr(demo, "run", lambda *args, **kwargs: calls.append((args, kwargs)))
    if value is None:
        monkeypatch.delenv("HEADLESS", raising=False)
    else:
        monkeypatch.setenv("HEADLESS", value)
    assert run("demo", "-o", tmp_path, "--seconds", 5)[0] == 0
    assert calls == [((tmp_path,), {"headless": headless, "seconds": 5.0})]
