"""Where the tour's simulated person paints: inside the classes of the truth."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

Pixel = tuple[float, float]
"""Row and column of an image."""


def strokes_of(truth: np.ndarray, value: int, n: int = 2) -> list[list[Pixel]]:
    """Strokes in the thickest parts of a class, far from each other."""
    depth = ndimage.distance_transform_edt(truth == value)
    margin = 20  # away from the border, where one sees it
    depth[:margin] = depth[-margin:] = depth[:, :margin] = depth[:, -margin:] = 0
    found = []
    for _ in range(n):
        place = np.unravel_index(int(np.argmax(depth)), depth.shape)
        row, column = (float(index) for index in place)
        found.append(_stroke_at(truth == value, row, column, 0.7 * float(depth.max())))
        rows, columns = np.ogrid[: depth.shape[0], : depth.shape[1]]
        depth[np.hypot(rows - row, columns - column) < 110] = 0
    return found


def _stroke_at(inside: np.ndarray, row: float, column: float, reach: float) -> list[Pixel]:
    """A straight stroke where there is room for it, else one along a thin class."""
    if reach > 6:
        return [(row, column + t * min(reach, 30)) for t in (-1, -0.3, 0.3, 1)]
    path, left = [(row, column)], np.argwhere(inside)
    for _ in range(8):  # from pixel to pixel of the class, away from where it came from
        distance = np.linalg.norm(left - path[-1], axis=1)
        near = left[(distance > 3) & (distance < 6)]
        if not len(near):
            break
        gaps = [min(np.hypot(*(pixel - np.asarray(p))) for p in path) for pixel in near]
        best = near[int(np.argmax(gaps))]
        path.append((float(best[0]), float(best[1])))
    return path


def circle_around(truth: np.ndarray) -> list[Pixel]:
    """An outline around a nucleus of middle size."""
    parts, n = ndimage.label(truth == 2)
    sizes = ndimage.sum_labels(truth == 2, parts, range(1, n + 1))
    boxes = ndimage.find_objects(parts)
    height, width = truth.shape
    for index in np.argsort(sizes)[::-1][1:]:
        rows, columns = boxes[int(index)]
        if min(rows.start, columns.start) > 8 and rows.stop < height - 8 < height:
            if columns.stop > width - 8:
                continue
            middle = ((rows.start + rows.stop) / 2, (columns.start + columns.stop) / 2)
            radii = ((rows.stop - rows.start) / 2 + 4, (columns.stop - columns.start) / 2 + 4)
            angles = np.linspace(0, 2 * np.pi, 13)
            return [
                (middle[0] + radii[0] * np.sin(a), middle[1] + radii[1] * np.cos(a)) for a in angles
            ]
    return []


def correction(found: np.ndarray, truth: np.ndarray) -> tuple[int, list[Pixel]]:
    """Where the segmentation is most wrong: the class there, and a stroke of it."""
    depth = {
        value: ndimage.distance_transform_edt((truth == value) & (found != value))
        for value in np.unique(truth[truth > 0])
    }
    value = max(depth, key=lambda value: float(depth[value].max()))
    reach = float(depth[value].max())
    if reach < 1:
        return int(value), []
    row, column = np.unravel_index(int(np.argmax(depth[value])), truth.shape)
    wrong = (truth == value) & (found != value)
    return int(value), _stroke_at(wrong, float(row), float(column), 0.7 * reach)
