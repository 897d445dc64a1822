from napari_msd.core.settings import Settings
from napari_msd.document import NO_IMAGE, KeptModel, KeptModels, Kind

QUICK = Kind(1, "quick", 1)


def model(data: bytes, source: str = "a") -> KeptModel:
    return KeptModel(data, Settings(), source)


def test_each_image_and_kind_of_network_has_its_own():
    kept = KeptModels()
    kinds = [QUICK, QUICK._replace(preset="paper"), QUICK._replace(image=2)]
    models = [model(bytes([i])) for i in range(3)]
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
    new = QUICK._replace(image=9)
    assert kept.of_another_image(new) is None
    kept.keep(QUICK, model(b"1", "first"))
    kept.keep(QUICK._replace(image=2), model(b"2", "second"))
    kept.keep(QUICK, model(b"3", "first"))
    kept.keep(QUICK._replace(image=3, n_channels=3), model(b"4", "colour"))
    offered = kept.of_another_image(new)
    assert (offered.model, offered.source, offered.fit_normalisation) == (b"3", "first", True)


def test_weights_loaded_without_an_image_are_for_the_next_one():
    kept = KeptModels()
    loaded = model(b"1")
    nowhere = QUICK._replace(image=NO_IMAGE)
    kept.keep(nowhere, loaded)
    history = kept.history(nowhere)
    assert kept.get(QUICK) is None
    assert kept.of_another_image(QUICK) is None
    kept.adopt_loaded(QUICK.image, n_channels=3)
    assert kept.get(QUICK) is None
    kept.adopt_loaded(QUICK.image, n_channels=1)
    assert kept.get(QUICK) is loaded
    assert kept.history(QUICK) is history
    assert kept.get(nowhere) is None
