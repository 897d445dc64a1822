"""Recording a step as a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from napari_msd.training.step import Outcome


class CudaGraph:
    """Records work of one GPU; see `repeated_step.Recorder`.

    Parameters
    ----------
    device
        The GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._graph: torch.cuda.CUDAGraph | None = None

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Work on the stream that will be recorded, in turn with the current one."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        try:
            with torch.cuda.stream(self._stream):
                yield
        finally:  # of a step that failed, too: the next one uses the same memory
            current.wait_stream(self._stream)

    def record(self, work: Callable[[], Outcome]) -> Outcome:
        """Record `work`; the tensors in its outcome stay where they are."""
        self._graph = torch.cuda.CUDAGraph()  # whatever became of an earlier attempt
        # "thread_local": other threads of this process may use the GPU meanwhile
        with torch.cuda.graph(self._graph, stream=self._stream, capture_error_mode="thread_local"):
            return work()

    def replay(self) -> None:
        """Launch all of it."""
        assert self._graph is not None
        self._graph.replay()
