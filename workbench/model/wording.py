"""Counts, kinds and spans of time in words, the same on the command line and on the screen."""


def quantity(count: int, kind: str) -> str:
    """So many of a kind: `1 topic`, `12 classic queues`, `2 properties`."""
    if count == 1:
        plural = kind
    elif kind.endswith("y") and kind[-2:-1] not in tuple("aeiou"):
        plural = f"{kind[:-1]}ies"
    else:
        plural = f"{kind}s"
    return f"{count:,} {plural}"


def with_article(kind: str) -> str:
    """A kind with its article: `an exchange`, `a classic queue`."""
    return f"{'an' if kind[:1].lower() in tuple('aeiou') else 'a'} {kind}"


def time_span(seconds: float) -> str:
    """A span of time in its two largest units: `3 d 4 h`, `12 s`."""
    whole = max(int(seconds), 0)
    for size, unit, below, of in ((86_400, "d", "h", 3_600), (3_600, "h", "m", 60), (60, "m", "s", 1)):
        if whole >= size:
            return f"{whole // size:,} {unit} {whole % size // of} {below}"
    return f"{whole} s"


def age(seconds: float) -> str:
    """How long ago something was, or how far ahead it is, where a clock is wrong or a time was chosen: `in 3 d 4 h`."""
    return time_span(seconds) if seconds > -1 else f"in {time_span(-seconds)}"
