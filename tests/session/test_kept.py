from napari_msd.session import KeptModel, KeptModels


def test_each_kind_of_network_has_its_own():
    kept = KeptModels()
    quick, paper = KeptModel(b"q", "quick", 1, "a"), KeptModel(b"p", "paper", 1, "a")
    kept.keep(quick)
    kept.keep(paper)
    assert kept.get("quick", 1) is quick
    assert kept.get("paper", 1) is paper
    assert kept.get("quick", 3) is None


def test_newer_weights_replace_older_ones_and_can_be_forgotten():
    kept = KeptModels()
    kept.keep(KeptModel(b"1", "quick", 1, "a"))
    newer = KeptModel(b"2", "quick", 1, "a")
    kept.keep(newer)
    assert kept.forget("quick", 1) is newer
    assert kept.get("quick", 1) is None
    assert kept.forget("quick", 1) is None
