"""Functions that torch.compile is to leave alone, without loading the compiler.

``torch.compiler.disable`` imports all of torch.compile, which takes as long as importing torch
itself; so do ``torch.optim`` and kernels of ``torch.library.custom_op`` when they first run.
Nobody who learns from strokes needs it, and the first answer would wait for it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def untraced(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Have torch.compile call `function` as it is, and trace around it."""

    @wraps(function)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        if torch.compiler.is_compiling():  # only then is the compiler there anyway
            disabled: Callable[Parameters, Result]
            disabled = torch.compiler.disable(function)  # type: ignore[no-untyped-call]
            return disabled(*args, **kwargs)
        return function(*args, **kwargs)

    return call
