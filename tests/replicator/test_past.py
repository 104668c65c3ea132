"""The judge of the cuts and kills: what it takes for a consistent past, and what it does not."""

from past import ABSENT, History, what_is_wrong


def history(*rows):
    """Each: (key, value, begun, ended)."""
    h = History()
    for key, value, begun, ended in rows:
        made = h.begin((key, value))
        made[0].begun, made[0].ended = begun, ended
    return h


ONE_AFTER_ANOTHER = history(("a", "1", 1, 2), ("b", "1", 3, 4), ("a", "2", 5, 6))


def test_each_prefix_is_a_past():
    for state in ({}, {"a": "1"}, {"a": "1", "b": "1"}, {"a": "2", "b": "1"}):
        assert what_is_wrong(ONE_AFTER_ANOTHER, state) == []


def test_a_later_write_without_an_earlier_one_is_none():
    assert what_is_wrong(ONE_AFTER_ANOTHER, {"b": "1"})
    assert what_is_wrong(ONE_AFTER_ANOTHER, {"a": "2"})


def test_writes_that_overlapped_may_be_there_in_any_order():
    h = history(("a", "1", 1, 5), ("b", "1", 2, 6))
    for state in ({}, {"a": "1"}, {"b": "1"}, {"a": "1", "b": "1"}):
        assert what_is_wrong(h, state) == []


def test_a_key_that_is_absent_may_not_be_there_yet_or_not_any_more():
    h = history(("a", "1", 1, 2), ("b", "1", 3, 4), ("a", ABSENT, 5, 6), ("c", "1", 7, 8))
    assert what_is_wrong(h, {}) == []
    assert what_is_wrong(h, {"b": "1", "c": "1"}) == []
    assert what_is_wrong(h, {"b": "1"}) == []
    assert what_is_wrong(h, {"a": "1", "b": "1", "c": "1"})
    assert what_is_wrong(h, {"c": "1"})


def test_what_nobody_wrote_is_wrong():
    assert what_is_wrong(ONE_AFTER_ANOTHER, {"a": "3"})
    assert what_is_wrong(ONE_AFTER_ANOTHER, {"x": "1"})


def test_one_whose_answer_was_lost_may_be_there_or_not():
    h = history(("a", "1", 1, float("inf")), ("b", "1", 3, 4))
    assert what_is_wrong(h, {"b": "1"}) == []
    assert what_is_wrong(h, {"a": "1", "b": "1"}) == []
    assert what_is_wrong(h, {"a": "1"}) == []
