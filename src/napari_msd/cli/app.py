"""The command line ``napari-msd``: demo, train, predict, sessions, info, bench.

Importing this module is light; each command imports what it needs when it runs, so
that ``--help`` answers at once. Results go to stdout, progress and errors to stderr.
Exit code 0 is success, 2 is bad input with one line on stderr, 130 Ctrl-C, 1 anything else.
The larger commands are in `cli.train` and `cli.predict`.
"""

from __future__ import annotations

import io
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from napari_msd.cli.output import print_message
from napari_msd.cli.predict import Wanted, segment_images
from napari_msd.cli.session_commands import sessions
from napari_msd.cli.train import train_model
from napari_msd.core.errors import (
    BadInputError,
    ExportError,
    MSDError,
    SessionError,
    SettingsError,
)
from napari_msd.core.settings import DEVICE_CHOICES, PRESETS

if TYPE_CHECKING:
    from napari_msd.images.result import What

app = typer.Typer(
    name="napari-msd",
    help="Learn a segmentation from a few painted strokes with a Mixed-Scale Dense network.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.add_typer(sessions, name="sessions")

_SUFFIX = {"tiff": ".tif", "png": ".png", "npy": ".npy", "ome-zarr": ".ome.zarr"}
_WHATS = ("labels", "probabilities", "uncertainty")

Device = Annotated[str, typer.Option(help=f"One of {', '.join(DEVICE_CHOICES)}.")]
Axes = Annotated[
    str | None,
    typer.Option(help="Letters of the images' axes, like ZYX or YXC, when the files are wrong."),
]
Channels = Annotated[
    str | None,
    typer.Option(help="Names or numbers (from 1) of the channels to use, like DAPI,actin or 1,3."),
]


def main() -> None:
    """Run the command line; user errors lead to one line and an exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name that this terminal cannot write
        sys.stdout.reconfigure(errors="backslashreplace")
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # our own message covers it
    try:
        code = app(args=sys.argv[1:] or ["--help"], standalone_mode=False)
    except MSDError as error:
        print_message(error)
        raise SystemExit(
            2 if isinstance(error, BadInputError | ExportError | SessionError) else 1
        ) from None
    except MemoryError:
        print_message("There is too little memory for this; use a smaller image or preset.")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print_message("Stopped.")
        raise SystemExit(130) from None
    except Exception as error:
        if not hasattr(error, "format_message"):  # not a usage error, so a bug
            raise
        print_message(f"{error.format_message()} See napari-msd --help.")
        raise SystemExit(2) from None
    raise SystemExit(code if isinstance(code, int) else 0)


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
        Path,
        typer.Option("--output", "-o", help="Folder for results without a display."),
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
    from napari_msd.cli.demo import run

    run(output, headless=headless, seconds=seconds)


@app.command()
def train(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="Image files to train on.")],
    labels: Annotated[
        list[Path],
        typer.Option(
            "--labels", "-l", help="Painted labels of an image; once per image, in order."
        ),
    ],
    model: Annotated[
        Path, typer.Option("--output", "-o", help="Model file to write (.safetensors).")
    ],
    seconds: Annotated[
        float | None, typer.Option(help="Time to train; 30 unless --max-steps is given.")
    ] = None,
    max_steps: Annotated[int | None, typer.Option(help="Training steps to stop after.")] = None,
    preset: Annotated[
        str | None, typer.Option(help=f"One of {', '.join(PRESETS)}; quick if not given.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="The same seed gives the same network; 0 if not given.")
    ] = None,
    start: Annotated[
        Path | None, typer.Option("--from", metavar="MODEL", help="Model to continue training.")
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option(help="What the network sees: 2d planes, 2.5d with neighbours, 3d volumes."),
    ] = None,
    context: Annotated[
        int | None, typer.Option(help="Neighbouring slices on each side, with --mode 2.5d; 1.")
    ] = None,
    device: Device = "auto",
    axes: Axes = None,
    channels: Channels = None,
) -> None:
    """Train on painted images and write a model file.

    In the labels, 0 means unlabelled and 1 to 255 are classes. Images and labels may also be
    OME-Zarr folders, or patterns like "*.tif", whose files are sorted. Of a large image only what
    strokes need is read. Ctrl-C ends the training and saves the best
    network so far; a second Ctrl-C exits at once.
    """
    require_device(device)
    code = train_model(
        images,
        labels,
        model,
        start=start,
        preset=preset,
        seed=seed,
        mode=mode,
        context=context,
        device=device,
        axes=axes,
        channels=channels,
        seconds=seconds,
        max_steps=max_steps,
    )
    if code:
        raise typer.Exit(code)


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model file (.safetensors).")],
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGE", help="Images to segment: files, patterns, folders."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")],
    format: Annotated[
        str, typer.Option(help=f"File format of the results: {', '.join(_SUFFIX)}.")
    ] = "tiff",
    what: Annotated[str, typer.Option(help=f"What to write: {', '.join(_WHATS)}.")] = "labels",
    mode: Annotated[
        str | None, typer.Option(help="Checked only: a model sees as it was trained.")
    ] = None,
    context: Annotated[int | None, typer.Option(help="Checked only, as --mode.")] = None,
    device: Device = "auto",
    axes: Axes = None,
    channels: Channels = None,
) -> None:
    """Segment images with a trained model.

    Give files, OME-Zarr folders, folders (all images in them are segmented) or patterns like
    "*.tif". Images are read tile by tile and may be larger than memory. A bad image is reported
    and does not stop the others. Images unlike the training images are reported too. The model's
    channels are found by their names, else taken in their order. With --format ome-zarr, a run that
    was interrupted is gone on with when the command is given again.
    """
    require_device(device)
    if format not in _SUFFIX:
        raise BadInputError(f"There is no format {format!r}; choose one of {', '.join(_SUFFIX)}.")
    if what not in _WHATS:
        raise BadInputError(f"There is no {what!r} to write; choose one of {', '.join(_WHATS)}.")
    wanted = Wanted(_SUFFIX[format], cast("What", what), axes, channels)
    if code := segment_images(model, images, output, wanted, device, (mode, context)):
        raise typer.Exit(code)


@app.command()
def info(
    model: Annotated[
        Path | None, typer.Argument(metavar="[MODEL]", help="A model file to describe instead.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Compare the compiled cores with the reference.")
    ] = False,
) -> None:
    """Show what computes here, and why; or what a model file holds.

    Lists devices, compiled cores and, if one is not used, the reason, and versions. Of a model:
    its classes, the channels and axes of the images it is for, its network and training. With
    --check, cores compute a few small networks whose right answers are known; exit code 1 if one is
    wrong. Every training does so by itself before it starts.
    """
    from napari_msd.cli.info import check_cores, describe, report

    for line in report() if model is None else describe(model):
        print(line)
    if check and not check_cores(print):
        raise typer.Exit(1)


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
    device: Annotated[str, typer.Option(help="cpu or cuda; default: a GPU if any.")] = "auto",
    threads: Annotated[
        int | None, typer.Option(help="CPU threads; default: one per fast core.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="About how long each pass is timed.")] = 4.0,
) -> None:
    """Time the network beside the shortest possible time.

    Every result is first checked against the reference. Without options this takes some minutes;
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


def require_device(device: str) -> None:
    """Refuse an unknown device name.

    Raises
    ------
    SettingsError
        With the known names.
    """
    if device not in DEVICE_CHOICES:
        raise SettingsError(
            f"There is no device {device!r}; choose one of {', '.join(DEVICE_CHOICES)}."
        )


if __name__ == "__main__":
    main()
