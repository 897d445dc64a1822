import pytest
from _tables import Score, append, read, require_appendable

SCORE = Score("hela_dic", "reporting", "hela_dic 00", 0.02, 1, "ours", "60 steps", 1.5, 0.5, 0.4, 1)


def test_what_is_added_can_be_read(tmp_path):
    append(tmp_path / "scores.csv", SCORE)
    append(tmp_path / "scores.csv", SCORE)
    require_appendable(tmp_path / "scores.csv")
    assert read(tmp_path / "scores.csv") == [SCORE, SCORE]


def test_a_table_of_other_columns_is_refused(tmp_path):
    (tmp_path / "old.csv").write_text("image,amount\nnuclei,0.5\n")
    with pytest.raises(ValueError, match=r"old\.csv has not the columns"):
        read(tmp_path / "old.csv")
    with pytest.raises(ValueError, match=r"old\.csv"):
        require_appendable(tmp_path / "old.csv")


def test_a_table_that_is_not_there_yet_can_be_begun(tmp_path):
    require_appendable(tmp_path / "new.csv")
