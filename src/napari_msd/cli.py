"""The command line ``napari-msd``: demo, train, predict, info, bench.

Importing this module is light; each command imports what it needs when it runs, so
that ``--help`` answers at once. Results go to stdout, progress and errors to stderr.
Exit code 0 is success, 2 is bad input with one line on stderr, 1 anything else.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from napari_msd.cli_files import (
    common_axes,
    require_device,
    require_folder,
    save_labels,
    save_model,
    targets,
)
from napari_msd.config import DEVICE_CHOICES, PRESETS
from napari_msd.errors import BadInputError, ExportError, MSDError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_msd.segmenter import MSDSegmenter
    from napari_msd.training.fitting import FitProgress

app = typer.Typer(
    name="napari-msd",
    help="Learn a segmentation from a few painted strokes with a Mixed-Scale Dense network.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


_SUFFIX = {"tiff": ".tif", "png": ".png", "npy": ".npy"}

Device = Annotated[str, typer.Option(help=f"One of {', '.join(DEVICE_CHOICES)}.")]
Axes = Annotated[
    str | None,
    typer.Option(help="Letters of the images' axes, like ZYX or YXC, when the files are wrong."),
]


def main() -> None:
    """Run the command line; what a person got wrong becomes one line and an exit code."""
    try:
        code = app(args=sys.argv[1:] or ["--help"], standalone_mode=False)
    except MSDError as error:
        complain(error)
        raise SystemExit(2 if isinstance(error, BadInputError | ExportError) else 1) from None
    except MemoryError:
        complain("There is too little memory for this; use a smaller image or preset.")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        complain("Stopped.")
        raise SystemExit(130) from None
    except Exception as error:
        if not hasattr(error, "format_message"):  # no complaint about usage: a bug of ours
            raise
        complain(f"{error.format_message()} See napari-msd --help.")
        raise SystemExit(2) from None
    raise SystemExit(code if isinstance(code, int) else 0)


def complain(message: object) -> None:
    """Print one line for a person to stderr."""
    print("napari-msd:", " ".join(str(message).split()), file=sys.stderr)


@app.callback(invoke_without_command=True)
def version_option(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Learn a segmentation from a few painted strokes with a Mixed-Scale Dense network."""
    if version:
        from napari_msd import __version__

        print(__version__)
        raise typer.Exit


@app.command()
def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for what a run without display leaves.")
    ] = Path("demo-output"),
    headless: Annotated[
        bool, typer.Option(envvar="HEADLESS", help="Run unattended, then quit.")
    ] = False,
    seconds: Annotated[float, typer.Option(help="How long an unattended run trains.")] = 60.0,
) -> None:
    """Open napari on a sample image with strokes, training live.

    Unattended (without a display, or with --headless), the same window trains for a
    minute, then leaves a screenshot, the labels and the model in a folder and prints
    the IoU of each class against the sample's truth.
    """
    from napari_msd.demo import run

    run(output, headless=headless, seconds=seconds)


@app.command()
def train(
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGE", help="Image files to learn from.")
    ],
    labels: Annotated[
        list[Path],
        typer.Option(
            "--labels", "-l", help="Painted labels of an image; once per image, in order."
        ),
    ],
    model: Annotated[Path, typer.Option("--output", "-o", help="Model file to write.")],
    seconds: Annotated[
        float | None, typer.Option(help="Time to train; 30 unless --max-steps is given.")
    ] = None,
    max_steps: Annotated[int | None, typer.Option(help="Training steps to stop after.")] = None,
    preset: Annotated[str, typer.Option(help=f"One of {', '.join(PRESETS)}.")] = "quick",
    seed: Annotated[int, typer.Option(help="The same seed gives the same network.")] = 0,
    device: Device = "auto",
    axes: Axes = None,
) -> None:
    """Train on painted images and write a model file.

    In the labels, 0 means unlabelled and 1 to 255 are classes.
    """
    if len(labels) != len(images):
        raise BadInputError(
            f"There are {len(images)} images but {len(labels)} label files; give --labels once "
            "for each image, in the same order."
        )
    require_device(device)
    require_folder(model)
    from napari_msd.io.images import read_image, read_labels
    from napari_msd.segmenter import MSDSegmenter

    pictures = [read_image(path) for path in images]
    annotations = [read_labels(path) for path in labels]
    segmenter = MSDSegmenter(preset=preset, device=device, seed=seed)
    with _progress("Training") as bar:

        def show(progress: FitProgress) -> None:
            text = f"step {progress.step}, loss {progress.loss:.3f}"
            if progress.score is not None:
                text += f", IoU {progress.score:.2f}"
            bar(progress.fraction or 0.0, text)

        segmenter.fit(
            [picture.data for picture in pictures],
            [annotation.data for annotation in annotations],
            seconds=seconds,
            max_steps=max_steps,
            callback=show,
            axes=axes or common_axes(pictures, images),
        )
    written = save_model(segmenter, model, pictures[0], annotations)
    print(f"{written}: {_summary(written)}")


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model file (.safetensors).")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="Image files to segment.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the labels.")],
    format: Annotated[
        str, typer.Option(help=f"File format of the labels: {', '.join(_SUFFIX)}.")
    ] = "tiff",
    device: Device = "auto",
    axes: Axes = None,
) -> None:
    """Segment images with a trained model.

    A bad image is reported and does not stop the others.
    """
    require_device(device)
    if format not in _SUFFIX:
        raise BadInputError(f"There is no format {format!r}; choose one of {', '.join(_SUFFIX)}.")
    from napari_msd.io.atomic import make_folder
    from napari_msd.io.model_file import read
    from napari_msd.segmenter import MSDSegmenter

    names = read(model).class_names
    segmenter = MSDSegmenter.load(model, device=device)
    folder = make_folder(output)
    failed = False
    for path, target in zip(images, targets(images, folder, _SUFFIX[format]), strict=True):
        try:
            _predict_one(segmenter, path, target, names, axes)
        except BadInputError as error:
            failed = True
            message = str(error)
            complain(message if str(path) in message else f"{path}: {message}")
        else:
            print(target)
    if failed:
        raise typer.Exit(2)


@app.command()
def info() -> None:
    """Say what this machine computes with, and why.

    Devices, compiled cores, why one is not used, and versions.
    """
    from napari_msd.info import report

    for line in report():
        print(line)


@app.command()
def bench(
    case: Annotated[
        list[str] | None,
        typer.Option(help="Depth and batch of images, like 30:4x128x128; repeatable."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="One of core, blocked, naive, dlsia, msdnet; repeatable."),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda; the GPU if there is one.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="CPU threads; all cores.")] = None,
    seconds: Annotated[float, typer.Option(help="About how long each pass is timed.")] = 4.0,
) -> None:
    """Time the network on this machine, beside what the machine could do at most.

    Checks every result against the reference first. Without options it takes some minutes;
    --only core is quick.
    """
    require_device(device)
    import torch

    from napari_msd.bench import CASES, CONTENDERS, parse_case, report
    from napari_msd.native import set_threads

    set_threads(threads)
    place = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    cases = [parse_case(text) for text in case] if case else CASES
    for line in report(cases, only or CONTENDERS, place, seconds):
        print(line, flush=True)


# --- parts of the commands -------------------------------------------------------------


def _predict_one(
    segmenter: MSDSegmenter, path: Path, target: Path, names: dict[int, str], axes: str | None
) -> None:
    from napari_msd.io.images import read_image

    picture = read_image(path)
    letters = (axes or picture.axes).upper()
    with _progress(path.name) as bar:
        labels = segmenter.predict(
            picture.data, axes=letters, callback=lambda fraction: bar(fraction, "")
        )
    save_labels(target, labels, picture, letters, names)


def _summary(model: Path) -> str:
    from napari_msd.io.model_file import read

    record = read(model)
    text = f"{record.n_classes} classes, {record.steps} step{'s' if record.steps != 1 else ''}"
    if record.score is None:
        return f"{text}, no strokes held out to measure IoU"
    scores = (
        f"{name} {record.scores[v]:.3f}"
        for v, name in record.class_names.items()
        if v in record.scores
    )
    return f"{text}, IoU on held-out strokes {record.score:.3f} ({', '.join(scores)})"


@contextmanager
def _progress(title: str) -> Iterator[Callable[[float, str], None]]:
    """Show a bar on a terminal, nothing elsewhere; call what it gives with (fraction, text)."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}", markup=False),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=1.0, text="")

        def bar(fraction: float, text: str) -> None:
            progress.update(task, completed=fraction, text=text)

        yield bar


if __name__ == "__main__":
    main()
