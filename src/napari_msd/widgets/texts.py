"""Texts of the widgets: tooltips, Live's states, class list, figures and progress bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_msd.core.number_text import grouped
from napari_msd.session.keys import HIDE_KEY, LIVE_KEY, NEXT_KEY
from napari_msd.session.work_state import LiveState
from napari_msd.widgets.quality import MAX_MARGIN, Quality, quality_of

if TYPE_CHECKING:
    from napari_msd.document import UpToDate
    from napari_msd.session.classes import ClassInfo
    from napari_msd.trainer.messages import Progress, Ready

TOOLTIPS = {
    "open_image_button": "Choose image files to open in napari",
    "sample_button": "Open a small microscopy image with strokes, ready for Live",
    "close_offer_button": "Not now",
    "image_combo": "The image to segment",
    "axes_button": "Say what the axes of the image are: slices, frames, channels or something else",
    "channels_button": "Layers that the network sees together, as channels of one image",
    "mode_combo": (
        "2-D sees single planes. 2.5-D sees each slice with its neighbours. 3-D sees volumes: use "
        "it if slices are about as far apart as pixels. Each mode has a network of its own, and "
        "your strokes stay."
    ),
    "context_spin": "Neighbouring slices on each side that the network sees, in 2.5-D",
    "channel_combo": "The layer that is this channel of the model",
    "annotation_combo": "The Labels layer that holds your strokes",
    "new_annotation_button": "Make a layer for strokes on this image and start painting",
    "menu_button": "More: preset, neighbours, device, history, models, sessions, keys",
    "preset_combo": (
        "quick answers within seconds (30 layers); balanced is better after a minute (50 layers); "
        "paper is the network of Pelt & Sethian 2018 (100 layers)"
    ),
    "device_combo": (
        "auto uses the fastest available: compiled CUDA, compiled CPU, then PyTorch. "
        "The line below shows which one is in use; its tooltip says why."
    ),
    "paint_button": (
        "Paint strokes of the picked class (keys 1 to 9 pick one and paint; P paints too). "
        "Hold Space to move the image."
    ),
    "erase_button": "Erase strokes. Key: E. Press again to paint.",
    "brush_slider": "Size of the brush, in pixels of the image. Keys: [ and ]",
    "undo_button": "Undo the last stroke. Key: Ctrl+Z",
    "redo_button": "Do the undone stroke again. Key: Ctrl+Shift+Z",
    "add_class_button": "Add a class",
    "remove_class_button": "Remove the picked class and erase its strokes (undo works)",
    "merge_class_button": "Give the picked class's strokes to another class (undo works)",
    "live_button": (
        "Train on your strokes and update the segmentation until you switch Live off. "
        f"Key: {LIVE_KEY}"
    ),
    "sparkline": (
        "Mean IoU on held-out strokes (0 to 1) during training. Click for the plot of loss and IoU."
    ),
    "show_me_button": (
        f"Go to where the network is most uncertain: strokes help most there. Key: {NEXT_KEY}"
    ),
    "next_button": "Do what the sentence says",
    "segmentation_button": "Show the segmentation over the image",
    "uncertainty_button": "Show where the network is uncertain: the stronger the colour, the more",
    "image_button": f"Show the image and your strokes alone; or hold {HIDE_KEY} for a moment",
    "opacity_slider": "How strongly the segmentation or the uncertainty covers the image",
    "lasso_button": (
        "Draw around a part that is segmented correctly: it becomes strokes, and the network "
        "learns it (undo works)"
    ),
    "predict_all_button": "Segment the whole image with the best network",
    "export_button": (
        "Save the segmentation as TIFF (with pixel size and class names), PNG or NPY"
    ),
    "copy_button": "Copy the segmentation to a Labels layer you can edit",
    "stop_button": "Stop all work; the best network and the segmentation stay",
    "update_once_button": "Train for a few seconds, then stop",
    "history_button": "Earlier versions of the network; go back to any of them",
    "save_model_button": "Save the best network as .safetensors",
    "load_model_button": (
        "Load a saved model: it predicts this image at once, and Live continues its training "
        "with your strokes here"
    ),
    "segment_file_button": (
        "Segment the whole image into an OME-Zarr or TIFF, however large; an OME-Zarr that was "
        "interrupted is gone on with"
    ),
    "start_over_button": "Discard the network and keep the strokes",
}
"""Tooltips of the panel's controls, by object name."""

START = (
    "Teach a network by painting:\n"
    "1  Open an image, or try a sample.\n"
    "2  Paint a stroke of each class.\n"
    "3  Press Live, and paint where it is wrong."
)
"""How to start, in an empty viewer."""

ACTIONS = {"new": "New strokes", "paint": "Paint"}
"""Buttons that belong to a sentence, by action; see `next_step.NextStep`."""

KEYS = (
    f"{LIVE_KEY}  Live on and off\n"
    f"{NEXT_KEY}  show me an uncertain place\n"
    f"{HIDE_KEY}  hold: the image alone\n"
    "1 … 9  pick a class and paint\n"
    "E  erase     [  ]  brush size\n"
    "Ctrl+Z  undo     Space  move the image"
)
"""The keys; those of the last two lines are napari's own."""

QUALITY_WORDS = {
    Quality.TOO_FEW: "too few strokes",
    Quality.POOR: "poor",
    Quality.FAIR: "fair",
    Quality.GOOD: "good",
    Quality.VERY_GOOD: "very good",
}
"""What the class list says of a class."""

LIVE_TEXTS = {
    LiveState.OFF: "press to learn and update",
    LiveState.STARTING: "starting the trainer …",
    LiveState.WAITING: "paint two classes first",
    LiveState.TRAINING: "learning",
    LiveState.IDLE: "idle: waiting for strokes",
    LiveState.PAUSED: "paused for Predict all",
    LiveState.STOPPING: "stopping …",
}
"""What the Live switch shows in each state."""

_NARROW_SPACE = "\u202f"
"""Narrow no-break space."""
WORK = {"update": "Updating", "predict": "Predicting"}


def tooltip(name: str, reason: str) -> str:
    """Tooltip of a button; `reason` says why it is disabled, empty if it is enabled."""
    return f"{TOOLTIPS[name]}\n\nNot now: {reason}" if reason else TOOLTIPS[name]


def continue_from(image: str) -> str:
    """Offer to continue from the network of the image named `image`."""
    return (
        f"This image starts with a new network. Continue from that of “{image}” instead, "
        "adapted to the grey values here?"
    )


def speed_text(steps_per_second: float | None) -> str:
    """``64 steps/s``; empty if it is unknown."""
    if steps_per_second is None:
        return ""
    digits = 0 if steps_per_second >= 10 else 1
    return f"{steps_per_second:.{digits}f} steps/s"


def mean_text(progress: Progress | None, score: float | None = None) -> str:
    """``IoU .84``, or words if it is measured on too few strokes; empty if it is unknown.

    `score` is that of the current network, shown until the trainer reports a newer one.
    """
    if progress is not None and progress.best_score is not None:
        score = progress.best_score
    if score is None:
        return ""
    if progress is not None and progress.held_out_iou:
        known = (progress.iou_margin.get(value, 1.0) for value in progress.held_out_iou)
        if any(margin >= MAX_MARGIN for margin in known):
            return "few strokes"
    return f"IoU {iou_text(score)}"


def device_text(ready: Ready | None) -> str:
    """Which device is in use."""
    return "" if ready is None else f"in use: {ready.device}"


def figures_tooltip(ready: Ready | None) -> str:
    """Why this device is used, and the versions in use."""
    if ready is None:
        return "The trainer is starting."
    versions = ", ".join(f"{name} {number}" for name, number in ready.versions.items())
    return "\n".join(filter(None, (ready.reason, versions)))


def bar(
    work: str, live: bool, progress: Progress | None, view: float | None = None
) -> tuple[int, str]:
    """Value (0..100) and text of the progress bar.

    `view` is how much of the visible part is updated (0..1), ``None`` unless that takes long.
    """
    if work:
        fraction = progress.fraction if progress is not None else None
        left = progress.seconds_left if progress is not None else None
        percent = round(100 * min(max(fraction or 0.0, 0.0), 1.0))
        name = WORK.get(work, work)
        return percent, f"{name} · {time_left(left)}" if left is not None else f"{name} …"
    if view is not None:
        percent = int(100 * view)
        return percent, f"view {percent} %"
    if live and progress is not None and progress.step:
        return 0, f"step {grouped(progress.step)}"
    return 0, ""


def time_left(seconds: float) -> str:
    """``about 12 s left``, rounded to what is known."""
    if seconds < 1.5:
        return "almost done"
    if seconds < 90:
        return f"about {round(seconds)} s left"
    if seconds < 5400:
        return f"about {round(seconds / 60)} min left"
    return f"about {round(seconds / 3600)} h left"


def coverage_text(now: UpToDate) -> str:
    """How much of the segmentation is of the present network."""
    if now.share <= 0:
        return ""
    if now.complete:
        return "all up to date"
    if now.slabs > 1:
        return f"{now.complete_slabs} of {now.slabs} planes up to date"
    return f"{min(max(now.share, 0.01), 0.99):.0%} up to date"


def iou_text(iou: float | None) -> str:
    """``.91``, as in published tables; a dash if it is unknown."""
    if iou is None:
        return "–"
    return "1.0" if iou >= 0.995 else f"{iou:.2f}"[1:]


def pixels_text(pixels: int) -> str:
    """``940 px``, ``1.4 k px``, ``118 k px`` or ``1.2 M px``."""
    if pixels < 1_000:
        return f"{pixels} px"
    if pixels < 9_950:
        return f"{pixels / 1e3:.1f}{_NARROW_SPACE}k px"
    if pixels < 999_500:
        return f"{pixels / 1e3:.0f}{_NARROW_SPACE}k px"
    if pixels < 9.95e6:
        return f"{pixels / 1e6:.1f}{_NARROW_SPACE}M px"
    return f"{pixels / 1e6:.0f}{_NARROW_SPACE}M px"


def class_tooltip(info: ClassInfo) -> str:
    """Tooltip of a class in the class list."""
    key = f"Key {info.value}: p" if info.value <= 9 else "P"
    painted = grouped(info.pixels)
    return (
        f"{info.name}: {painted} pixels painted. {_measured_on(info)}\n"
        f"{key}aint this class. Click to pick it, double-click to rename, "
        "click the colour to change it, right-click for more."
    )


def eye_tooltip(info: ClassInfo) -> str:
    """Tooltip of a class's eye."""
    if info.visible:
        return f"“{info.name}” is shown in the segmentation. Click to hide it there."
    return f"“{info.name}” is hidden in the segmentation, but learned. Click to show it."


def _measured_on(info: ClassInfo) -> str:
    """How the IoU was measured."""
    if info.iou is None:
        if info.too_few:
            return "Too little of this class is painted to measure its IoU: paint more of it."
        return "Its IoU (0 to 1) is measured on held-out strokes as soon as there is a network."
    plural = "" if info.measured_on == 1 else "s"
    where = f"measured on {info.measured_on} held-out piece{plural} of strokes"
    found = quality_of(info)
    if info.margin is None or found is Quality.TOO_FEW:
        return f"IoU {info.iou:.2f}, {where}: too few to know the margin of error. Paint more."
    low, high = max(info.iou - info.margin, 0), min(info.iou + info.margin, 1)
    return (
        f"{QUALITY_WORDS[found].capitalize()}: IoU {info.iou:.2f} ±{info.margin:.2f}, {where}, "
        f"so it is likely between {low:.2f} and {high:.2f}."
    )
