"""What is noted lately of messages is bounded."""

from orange_sms_async.telemetry.recent import Recent


def test_the_oldest_are_forgotten():
    """
    The younger half always is there.
    """
    recent = Recent[int](most=10)
    for n in range(1000):
        recent.note(str(n), n)
        assert len(recent) <= 10

    assert [n for n in range(1000) if recent.get(str(n)) == n][-5:] == [995, 996, 997, 998, 999]
    assert recent.get("0") is None


def test_what_is_noted_again_is_told_as_it_is_now():
    """
    And forgotten wherever it was.
    """
    recent = Recent[str](most=4)
    for noted in ("first", "second", "third"):
        recent.note("a", noted)
        recent.note("b", noted)

    assert "third" == recent.get("a")
    recent.forget("a")
    assert recent.get("a") is None
    assert "third" == recent.get("b")
