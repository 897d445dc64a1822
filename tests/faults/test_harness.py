"""The harness itself: what a scenario notes is what the table says."""

from faults.__main__ import BEGIN, END, HEADER, table, updated
from faults.catalogue import SCENARIOS
from faults.scenario import Scenario, UnavailableError, perform


def test_names_are_unique():
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)


def test_losses_problems_and_figures_of_all_occurrences_are_in_the_row():
    def act(run):
        (run.folder / "own").touch()
        assert len(list(run.folder.iterdir())) == 1
        run.figure("back after, s", 1.0 + run.number)
        run.say("It goes on.")
        if run.number == 2:
            run.lost("a stroke")
        run.check(run.number < 1, "late")

    row = perform(Scenario("it", "something breaks", act, 3))
    assert row.cells() == [
        "something breaks",
        "3",
        "a stroke; **2 x late**",
        "“It goes on.”",
        "back after 2, worst 3 s",
    ]
    assert table([row.cells()]).splitlines()[2].startswith("| something breaks | 3 | a stroke;")


def test_an_exception_is_a_problem(capsys):
    def act(run):
        raise KeyError("x")

    row = perform(Scenario("it", "it", act, 1))
    assert row.problems == ["KeyError: 'x'"]
    assert "KeyError" in capsys.readouterr().err


def test_what_cannot_be_tried_is_said():
    def act(run):
        raise UnavailableError("no such system")

    assert perform(Scenario("it", "it", act)).cells()[2:] == [
        "not tried here",
        "",
        "no such system",
    ]


def test_nothing_lost_is_said():
    assert perform(Scenario("it", "it", lambda run: None, 2)).cells() == [
        "it",
        "2",
        "nothing",
        "",
        "",
    ]


def test_rows_take_the_place_of_those_of_the_same_faults():
    rows = [[name, "1", "nothing", "", "a | b"] for name in ("one", "two")]
    first = updated(f"Before.\n\n{BEGIN}\n{END}\n\nAfter.\n", "Measured here.", rows)
    assert first.startswith("Before.\n\n")
    assert first.endswith(f"{END}\n\nAfter.\n")
    assert "| two | 1 | nothing |  | a / b |" in first
    again = updated(first, "Measured there.", [["one", "9", "a stroke", "", ""]])
    assert "Measured here." not in again
    assert "Measured there. Rows of earlier runs" in again
    assert again.count(HEADER[0]) == first.count(HEADER[0])
    assert "| one | 9 | a stroke |  |  |" in again
    assert "| two | 1 | nothing |  | a / b |" in again
    assert "| one | 1 |" not in again


def test_a_file_without_marks_is_written_anew():
    text = updated("", "Measured here.", [["one", "1", "nothing", "", ""]])
    assert updated(text, "Measured here.", [["one", "1", "nothing", "", ""]]) == text
    assert "Measured here." in text
