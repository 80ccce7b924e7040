"""What a coverage says in one line."""

from workbench.model.look import Coverage, Gap, Span


def test_how_much_of_how_much_was_read() -> None:
    assert str(Coverage(3)) == "3 read"
    assert str(Coverage(500, total=2_000_000)) == "500 of 2,000,000 read"
    assert str(Coverage(500, total=500)) == "500 read"
    # More may have arrived than was counted.
    assert str(Coverage(501, total=500)) == "501 read"


def test_many_gaps_of_one_reason_are_summed_up() -> None:
    spans = tuple(Span(str(number), "0", "1") for number in range(2_000))
    gaps = tuple(Gap(f"partition {number}", "still open") for number in range(2_000))
    assert str(Coverage(1, spans, (*gaps, Gap("one", "damaged")))) == (
        "1 read from 2000 partitions; not seen: partition 0, partition 1, partition 2 and 1,997 more (still open);"
        " not seen: one (damaged)"
    )
