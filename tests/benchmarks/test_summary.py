from dataclasses import replace

import pytest
from _tables import Score
from summary import by_family, families_table, grouped, lead, leads_table, means_table, summary

OURS = Score("leaf", "tuning", "leaf 00", 0.02, 0, "ours", "0 steps", 0.5, 0.6, 0.5, 0.4)
FOREST = replace(OURS, method="forest", mark="", seconds=1.0, iou_here=0.5, iou_there=0.6)


def of(score, family, iou, image="00", **changes):
    return replace(score, family=family, image=f"{family} {image}", iou_here=iou, **changes)


SCORES = [
    of(OURS, "leaf", 0.6),
    of(OURS, "leaf", 0.8, image="02"),
    of(OURS, "soil", 0.2),
    of(FOREST, "leaf", 0.5),
    of(FOREST, "leaf", 0.5, image="02"),
    of(FOREST, "soil", 0.3),
]


def test_images_seeds_and_amounts_of_a_family_are_one_mean():
    scores = grouped(
        [of(OURS, "leaf", 0.2), of(OURS, "leaf", 0.4, seed=1), of(OURS, "leaf", 0.9, amount=0.5)]
    )
    values = {case: score.iou_here for case, score in scores["ours", "0 steps"].items()}
    assert by_family(values) == {"leaf": pytest.approx(0.5)}


def test_the_mean_weighs_families_alike():
    table = means_table(grouped(SCORES))
    assert table[2] == "| ours 0 steps | 2 | 0.5 | 0.450 | 0.500 | 0.400 |"


def test_the_lead_tells_the_worst_family_and_how_many_are_behind():
    groups = grouped(SCORES)
    found = lead(groups["ours", "0 steps"], groups["forest", ""], "iou_here")
    assert found.mean == pytest.approx((0.2 - 0.1) / 2)
    assert found.worst == pytest.approx(-0.1)
    assert (found.worst_family, found.behind, found.families) == ("soil", 1, 2)
    assert str(found) == "+0.050; 1 of 2 behind; worst -0.100 soil"


def test_only_cases_that_both_have_are_compared():
    groups = grouped([*SCORES, of(OURS, "bone", 0.0), of(FOREST, "leaf", 0.9, seed=7)])
    found = lead(groups["ours", "0 steps"], groups["forest", ""], "iou_here")
    assert found.families == 2
    assert found.mean == pytest.approx(0.05)


def test_no_case_in_common_is_no_lead():
    groups = grouped([of(OURS, "leaf", 0.5), of(FOREST, "soil", 0.5)])
    assert lead(groups["ours", "0 steps"], groups["forest", ""], "iou_here") is None
    assert leads_table(groups) == []


def test_equal_is_not_behind():
    groups = grouped([of(OURS, "leaf", 0.5), of(FOREST, "leaf", 0.5)])
    assert lead(groups["ours", "0 steps"], groups["forest", ""], "iou_here").behind == 0


def test_of_the_same_case_the_later_counts():
    groups = grouped([of(OURS, "leaf", 0.1), of(OURS, "leaf", 0.9)])
    assert [s.iou_here for s in groups["ours", "0 steps"].values()] == [0.9]


def test_rounds_are_compared_round_by_round():
    scores = [
        of(OURS, "leaf", 0.5, mark="round 0"),
        of(OURS, "leaf", 0.8, mark="round 1"),
        of(FOREST, "leaf", 0.4, mark="round 0"),
        of(FOREST, "leaf", 0.9, mark="round 1"),
    ]
    lines = leads_table(grouped(scores))[2:]
    assert [line[:25] for line in lines] == [
        "| forest, round 0 | +0.10",
        "| forest, round 1 | -0.10",
    ]


def test_each_family_is_a_line_and_a_gap_is_empty():
    lines = families_table(grouped([*SCORES, of(OURS, "bone", 0.25)]), "iou_here")
    assert lines[0] == "| IoU, painted image | ours 0 steps | forest |"
    assert lines[2] == "| bone | 0.250 |  |"
    assert lines[3] == "| leaf | 0.700 | 0.500 |"


def test_rivals_alone_have_means_and_no_leads():
    text = summary([FOREST])
    assert "| forest | 1 | 1.0 | 0.500 | 0.600 | 0.400 |" in text
    assert "minus" not in text
