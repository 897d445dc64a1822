from _families import HALVES


def test_families_alternate_in_alphabetical_order_beginning_with_tuning():
    halves = [HALVES[name] for name in sorted(HALVES)]
    assert halves == [("tuning", "reporting")[i % 2] for i in range(19)]
