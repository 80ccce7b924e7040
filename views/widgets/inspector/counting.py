"""Numbers with their nouns, as headings have them."""


def count_of(number: int, what: str) -> str:
    """A number with its noun, in the plural if need be."""
    plural = what if number == 1 else f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"
    return f"{number:,} {plural}"
