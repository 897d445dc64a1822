"""Networks and images drawn at random: every backend against the reference."""

from __future__ import annotations

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_msd.native import set_threads

from .oracle import BOUNDARIES, on, random_image


@on("cpu", "cuda-shim", "blocked")
@given(
    size=st.tuples(st.integers(1, 12), st.integers(1, 40)),
    batch=st.integers(0, 3),
    channels=st.integers(1, 3),
    classes=st.integers(1, 4),
    depth=st.integers(1, 12),
    width=st.integers(1, 3),
    dilations=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    boundary=st.sampled_from(BOUNDARIES),
    threads=st.integers(1, 3),
)
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_network_on_any_image(
    case, make_tame_net, assert_agrees,
    size, batch, channels, classes, depth, width, dilations, boundary, threads,
):  # fmt: skip
    set_threads(threads)
    options = {"depth": depth, "width": width, "dilations": dilations, "boundary": boundary}
    net = make_tame_net(channels, classes, dtype=torch.float64, **options)
    assert_agrees(case, net, random_image(batch, channels, *size))


@on("cpu", "cuda-shim", "blocked")
@given(
    size=st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 20)),
    depth=st.integers(1, 9),
    width=st.integers(1, 3),
    dilations=st.lists(st.integers(1, 12), min_size=1, max_size=4),
    along_z=st.none() | st.lists(st.integers(1, 12), min_size=1, max_size=4),
    boundary=st.sampled_from(BOUNDARIES),
    threads=st.integers(1, 3),
)
@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_network_on_any_volume(
    case, make_tame_net, assert_agrees,
    size, depth, width, dilations, along_z, boundary, threads,
):  # fmt: skip
    set_threads(threads)
    options = {"depth": depth, "width": width, "dilations": dilations, "boundary": boundary}
    net = make_tame_net(1, 2, dtype=torch.float64, ndim=3, dilations_z=along_z, **options)
    assert_agrees(case, net, random_image(1, 1, *size))
