"""Filter responses of a picture: what a forest sees anyway, and the maps need not repeat."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from pretrain_tasks.fields import Image, standardised

SIGMAS = (0.7, 1.4, 2.8, 5.6, 11.3)
PER_SIGMA = 5


def responses(image: Image) -> npt.NDArray[np.float16]:
    """(PER_SIGMA * len(SIGMAS), rows, columns), each standardised.

    Per sigma: the smoothed image, size of its gradient, both eigenvalues of its Hessian, and
    the standard deviation around each pixel.
    """
    planes = []
    square = image.astype(float) ** 2
    for sigma in SIGMAS:
        smooth = gaussian_filter(image.astype(float), sigma, truncate=3)
        down, right = np.gradient(smooth)
        (yy, yx), (_, xx) = np.gradient(down), np.gradient(right)
        half, root = (yy + xx) / 2, np.hypot((yy - xx) / 2, yx)
        spread = np.sqrt(np.maximum(gaussian_filter(square, sigma, truncate=3) - smooth**2, 0))
        planes += [smooth, np.hypot(down, right), half + root, half - root, spread]
    return np.stack([standardised(plane) for plane in planes]).astype(np.float16)
