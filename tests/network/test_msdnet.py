"""MSDNet: the paper's numbers, the state_dict contract, and clear errors."""

from __future__ import annotations

import copy
import io
import math
import pickle

import pytest
import torch
from safetensors.torch import load, save

from napari_msd import MSDNet
from napari_msd.core.errors import ImageError, SettingsError
from napari_msd.native.backend import BackendChoice
from napari_msd.native.core import UnsupportedError
from napari_msd.network import msdnet


@pytest.mark.parametrize(
    ("in_channels", "n_classes", "depth", "parameters"),
    [(1, 7, 25, 3139), (1, 7, 50, 11889), (1, 7, 100, 46264), (1, 7, 200, 182514),
     (3, 11, 100, 48494), (3, 11, 200, 186944)],
)  # fmt: skip
def test_the_papers_numbers_of_parameters(in_channels, n_classes, depth, parameters):
    assert MSDNet(in_channels, n_classes, depth).n_parameters == parameters


def test_receptive_radius():
    assert MSDNet(1, 2).receptive_radius == 550
    assert MSDNet(1, 2, depth=30, dilations=(1, 2, 4, 8, 16)).receptive_radius == 186
    assert MSDNet(1, 2, depth=2, width=2, dilations=(1, 5, 3)).receptive_radius == 5 + 3


def test_receptive_radii_of_a_volume():
    assert MSDNet(1, 2, depth=3, dilations=(1, 4)).receptive_radii == (6, 6)
    assert MSDNet(1, 2, depth=3, dilations=(1, 4), ndim=3).receptive_radii == (6, 6, 6)
    flat = MSDNet(1, 2, depth=2, width=2, dilations=(1, 4), dilations_z=(1, 2, 1), ndim=3)
    assert (flat.receptive_radii, flat.receptive_radius) == ((3, 8, 8), 8)
    tall = MSDNet(1, 2, depth=2, dilations=(1,), dilations_z=(3,), ndim=3)
    assert (tall.receptive_radii, tall.receptive_radius) == ((6, 2, 2), 6)


def test_nothing_beyond_the_receptive_radii_matters():
    net = MSDNet(1, 1, depth=3, dilations=(1, 2), dilations_z=(2, 1), ndim=3, backend="torch")
    with torch.no_grad():
        net.weight.fill_(1.0)
        net.output_weight.fill_(1.0)
    image = torch.zeros(1, 1, 15, 15, 15)
    image[0, 0, 7, 7, 7] = 1.0
    with torch.no_grad():
        seen = net(image)[0, 0].nonzero()
    assert net.receptive_radii == (5, 4, 4)
    assert (seen.amax(0) - 7).tolist() == [5, 4, 4]
    assert (7 - seen.amin(0)).tolist() == [5, 4, 4]


def test_dilations_along_z_cycle_too():
    net = MSDNet(1, 2, depth=3, dilations=(1, 4), dilations_z=(1, 2), ndim=3)
    assert net.dilations_z == (1, 2, 1)
    assert MSDNet(1, 2, depth=3, ndim=3).dilations_z is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dilations_z": (1,)}, "3-D networks"),
        ({"dilations_z": (1, 0), "ndim": 3}, "dilations_z must be .* from 1 on"),
        ({"dilations_z": (), "ndim": 3}, "dilations_z must be one or more"),
    ],
)
def test_dilations_along_z_that_no_network_can_have(options, words):
    with pytest.raises(SettingsError, match=words):
        MSDNet(1, 2, **options)


def test_dilations_cycle_over_channels_or_are_one_each():
    assert MSDNet(1, 2, depth=2, width=2, dilations=(1, 2, 3)).dilations == (1, 2, 3, 1)
    assert MSDNet(1, 2, depth=2, width=2, dilations=(4, 3, 2, 1)).dilations == (4, 3, 2, 1)


@pytest.mark.parametrize("ndim", [2, 3])
def test_initialisation_is_the_papers(ndim):
    net = MSDNet(2, 5, depth=20, width=2, ndim=ndim, generator=torch.Generator().manual_seed(0))
    fan = 3**ndim * (2 + 2 * 19) + 5
    assert net.weight.std().item() == pytest.approx(math.sqrt(2 / fan), rel=0.05)
    assert not any(p.any() for p in (net.bias, net.output_weight, net.output_bias))


def test_a_generator_makes_the_same_network_again():
    first, again = (MSDNet(1, 2, 5, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first.weight, again.weight)


def test_logits_have_the_images_shape_and_name_who_computed():
    net = MSDNet(2, 3, depth=3)
    assert (net.backend_in_use, net.backend_reason) == (None, None)
    assert net(torch.zeros(4, 2, 7, 9)).shape == (4, 3, 7, 9)
    assert net.backend_in_use in ("cpu", "torch")
    assert net.backend_reason.endswith(".")


def test_three_dimensions():
    net = MSDNet(1, 2, depth=2, ndim=3)
    assert net(torch.zeros(1, 1, 3, 4, 5)).shape == (1, 2, 3, 4, 5)


def test_torch_and_the_compiled_core_agree():
    net = MSDNet(1, 2, depth=8)
    with torch.no_grad():
        net.output_weight.normal_()
        image = torch.randn(2, 1, 20, 30)
        compiled = net(image)
        net.backend = "torch"
        # Two orders of summation of at most 80 float32 terms.
        torch.testing.assert_close(net(image), compiled, rtol=1e-4, atol=1e-5)


@pytest.fixture
def no_core_serves_it(monkeypatch):
    def refuse(*_arguments):
        raise UnsupportedError("Cannot compute 1 image(s): this core does not serve them.")

    monkeypatch.setattr(msdnet, "mixed_scale_dense", refuse)
    core = BackendChoice("cpu", "Compiled CPU core.")
    monkeypatch.setattr(msdnet, "choose_backend", lambda *_arguments: core)


def test_what_a_core_does_not_serve_goes_to_torch(no_core_serves_it):
    net = MSDNet(1, 2, depth=2)
    assert net(torch.zeros(1, 1, 4, 5)).shape == (1, 2, 4, 5)
    assert net.backend_in_use == "torch"
    assert net.backend_reason == (
        "PyTorch on the CPU: cannot compute 1 image(s): this core does not serve them."
    )


def test_who_insists_on_a_core_is_told_that_it_does_not_serve_it(no_core_serves_it):
    net = MSDNet(1, 2, depth=2, backend="cpu")
    with pytest.raises(SettingsError, match="does not serve"):
        net(torch.zeros(1, 1, 4, 5))


class TestStateDict:
    @pytest.mark.parametrize(("ndim", "taps"), [(2, (3, 3)), (3, (3, 3, 3))])
    def test_keys_and_shapes(self, ndim, taps):
        state = MSDNet(3, 5, depth=2, width=2, ndim=ndim).state_dict()
        assert {key: tuple(value.shape) for key, value in state.items()} == {
            "layers.0.weight": (2, 3, *taps),
            "layers.0.bias": (2,),
            "layers.1.weight": (2, 5, *taps),
            "layers.1.bias": (2,),
            "output.weight": (5, 7, *(1,) * ndim),
            "output.bias": (5,),
        }

    def test_round_trip_also_inside_another_module(self):
        def wrapped() -> torch.nn.Module:
            return torch.nn.Sequential(torch.nn.Identity(), MSDNet(1, 2, depth=4, width=2))

        first, second = wrapped(), wrapped()
        assert "1.layers.3.weight" in first.state_dict()
        second.load_state_dict(first.state_dict())
        assert torch.equal(first[1].weight, second[1].weight)

    def test_through_torch_save_and_safetensors(self):
        net, other, third = (MSDNet(1, 2, depth=4) for _ in range(3))
        buffer = io.BytesIO()
        torch.save(net.state_dict(), buffer)
        buffer.seek(0)
        other.load_state_dict(torch.load(buffer, weights_only=True))
        third.load_state_dict(load(save(net.state_dict())))
        assert torch.equal(net.weight, other.weight)
        assert torch.equal(net.weight, third.weight)

    def test_it_is_the_live_network_not_a_copy(self):
        net = MSDNet(1, 2, depth=2)
        state = net.state_dict()
        with torch.no_grad():
            net.weight.fill_(7)
        assert (state["layers.1.weight"] == 7).all()
        assert not state["layers.1.weight"].requires_grad

    def test_missing_and_unexpected_keys(self):
        net = MSDNet(1, 2, depth=2)
        state = dict(net.state_dict())
        del state["layers.1.bias"]
        state["extra"] = torch.zeros(1)
        with pytest.raises(RuntimeError, match=r"Missing key.*\n?.*Unexpected key"):
            net.load_state_dict(state)
        result = net.load_state_dict(state, strict=False)
        assert result.missing_keys == ["layers.1.bias"]
        assert result.unexpected_keys == ["extra"]

    def test_wrong_shapes(self):
        net = MSDNet(1, 2, depth=2)
        state = dict(net.state_dict(), **{"layers.0.weight": torch.zeros(1, 2, 3, 3)})
        with pytest.raises(RuntimeError, match=r"size mismatch for layers\.0\.weight"):
            net.load_state_dict(state)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_are_equal_and_independent(duplicate):
    net = MSDNet(1, 2, depth=3)
    other = duplicate(net)
    assert torch.equal(net.weight, other.weight)
    with torch.no_grad():
        other.weight.zero_()
    assert net.weight.any()
    assert not other.state_dict()["layers.2.weight"].any()


def test_an_optimiser_learns_through_it():
    net = MSDNet(1, 1, depth=3, generator=torch.Generator().manual_seed(0))
    optimiser = torch.optim.Adam(net.parameters(), lr=0.01)
    image = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    target = torch.roll(image, 1, dims=-1).relu()
    losses = []
    for _ in range(60):
        optimiser.zero_grad()
        loss = (net(image) - target).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"in_channels": 0}, "in_channels must be at least 1"),
        ({"n_classes": 0}, "n_classes must be at least 1"),
        ({"depth": 0}, "depth must be at least 1"),
        ({"width": 0}, "width must be at least 1"),
        ({"dilations": ()}, "dilations must be"),
        ({"dilations": (1, 0)}, "dilations must be"),
        ({"boundary": "wrap"}, "boundary must be one of reflect, symmetric, zeros"),
        ({"ndim": 4}, "ndim must be 2 or 3"),
        ({"backend": "opencl"}, "backend must be one of"),
    ],
)
def test_bad_settings(options, sentence):
    with pytest.raises(SettingsError, match=sentence):
        MSDNet(**{"in_channels": 1, "n_classes": 2, **options})


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (torch.zeros(1, 8, 8), r"axes \(N, C, Y, X\)"),
        (torch.zeros(1, 2, 8, 8), r"1 channel\(s\), not 2"),
        (torch.zeros(1, 1, 0, 8), "no pixels"),
        (torch.zeros(1, 1, 8, 8, dtype=torch.float64), "dtype torch.float32, not torch.float64"),
    ],
)
def test_bad_images(image, sentence):
    with pytest.raises(ImageError, match=sentence):
        MSDNet(1, 2, depth=2)(image)
