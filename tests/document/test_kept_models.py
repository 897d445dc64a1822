from napari_msd.core.settings import Settings
from napari_msd.core.space import MODES
from napari_msd.document import NO_IMAGE, KeptModel, KeptModels, Kind

QUICK = Kind((1,), "quick")


def model(data: bytes, source: str = "a") -> KeptModel:
    return KeptModel(data, Settings(), source)


def test_each_image_and_kind_of_network_has_its_own():
    kept = KeptModels()
    kinds = [
        QUICK,
        QUICK._replace(preset="paper"),
        QUICK._replace(images=(2,)),
        QUICK._replace(images=(1, 2), n_channels=2),
        QUICK._replace(images=(1, 3), n_channels=2),
        QUICK._replace(images=(2, 1), n_channels=2),
        QUICK._replace(mode="2.5d", context=1),
        QUICK._replace(mode="2.5d", context=2),
        QUICK._replace(mode="3d"),
    ]
    models = [model(bytes([i])) for i in range(len(kinds))]
    for kind, one in zip(kinds, models, strict=True):
        kept.keep(kind, one)
    assert [kept.get(kind) for kind in kinds] == models
    assert kept.get(QUICK._replace(n_channels=3)) is None


def test_newer_weights_replace_older_ones_and_can_be_forgotten():
    kept = KeptModels()
    kept.keep(QUICK, model(b"1"))
    newer = model(b"2")
    kept.keep(QUICK, newer)
    assert kept.forget(QUICK) is newer
    assert kept.get(QUICK) is None
    assert kept.forget(QUICK) is None


def test_the_newest_network_of_another_image_is_offered_with_its_grey_values_to_be_measured():
    kept = KeptModels()
    new = QUICK._replace(images=(9,))
    assert kept.of_another_image(new) is None
    kept.keep(QUICK, model(b"1", "first"))
    kept.keep(QUICK._replace(images=(2,)), model(b"2", "second"))
    kept.keep(QUICK, model(b"3", "first"))
    kept.keep(QUICK._replace(images=(3,), n_channels=3), model(b"4", "colour"))
    offered = kept.of_another_image(new)
    assert (offered.model, offered.source, offered.fit_normalisation) == (b"3", "first", True)


def test_weights_loaded_without_an_image_are_for_the_next_one():
    kept = KeptModels()
    loaded = model(b"1")
    nowhere = QUICK._replace(images=(NO_IMAGE,))
    kept.keep(nowhere, loaded)
    history = kept.history(nowhere)
    assert kept.get(QUICK) is None
    assert kept.of_another_image(QUICK) is None
    assert kept.adopt_loaded(QUICK.images, 3, MODES) == []
    assert kept.get(QUICK) is None
    assert kept.adopt_loaded(QUICK.images, 1, MODES) == [QUICK]
    assert kept.get(QUICK) is loaded
    assert kept.history(QUICK) is history
    assert kept.get(nowhere) is None


def test_a_model_loaded_without_an_image_needs_one_that_has_its_mode():
    kept = KeptModels()
    kept.keep(QUICK._replace(images=(NO_IMAGE,), mode="3d"), model(b"1"))
    assert kept.adopt_loaded((1,), 1, ["2d"]) == []
    assert kept.adopt_loaded((1,), 1, MODES) == [QUICK._replace(mode="3d")]


def test_networks_of_the_same_channels_in_another_order_are_not_offered():
    kept = KeptModels()
    two = Kind((1, 2), "quick", 2)
    kept.keep(two, KeptModel(b"1", Settings(), "a", channels=("DAPI", "GFP")))
    new = two._replace(images=(3, 4))
    assert kept.of_another_image(new, ("DAPI", "GFP")).model == b"1"
    assert kept.of_another_image(new, ("red", "green")).model == b"1"
    assert kept.of_another_image(new, ("GFP", "DAPI")) is None
    assert kept.of_another_image(new._replace(mode="2.5d", context=1), ("DAPI", "GFP")) is None
