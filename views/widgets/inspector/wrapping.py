"""How the pieces of a line fit a width: in as many rows as they take."""

from collections.abc import Iterator, Sequence
from itertools import islice

from views.widgets.inspector.page import Piece
from workbench.decode.display import cells, count_fitting, visible


def wrap(pieces: Sequence[Piece], width: int, indent: int = 0, most: int | None = None) -> list[list[Piece]]:
    """Pieces in as many rows as they take; what follows a line break begins a row, and words stay whole.

    Args:
        pieces: A line.
        width: Cells of a row.
        indent: How far the rows behind the first are set in.
        most: Rows that are made at most; None: all.
    """
    return list(islice(rows_of(pieces, width, indent), most))


def rows_of(pieces: Sequence[Piece], width: int, indent: int = 0) -> Iterator[list[Piece]]:
    """The same row by row: one that nobody asks for is not made."""
    row: list[Piece] = []
    first = True
    indent = min(indent, width // 2)
    room = width
    for piece in pieces:
        text, at = piece.text, 0
        while at < len(text):
            if room <= 0:
                yield row
                row, first = [Piece(" " * indent)], False
                room = width - indent
            # A letter takes a cell at least, with up to two marks.
            ahead = text[at : at + 3 * (room + 1)]
            part = ahead[: count_fitting(ahead, room)]
            part = part[: part.find("\n") + 1] or part
            rest = at + len(part) < len(text)
            # Where more follows, all of the row is taken.
            used = room if rest else cells(visible(part))
            fresh = len(row) == (not first)
            if not fresh and (used > room or (len(part) == 1 and cells(visible(part)) > room)):
                room = 0
                continue
            skipped = 0
            if rest and not part.endswith("\n"):
                following = text[at + len(part)]
                part = whole_words(part, following)
                # The space that a row would begin with is not seen at the end of the one before it either.
                skipped = following == " "
            place = piece.place + at if piece.place >= 0 and not piece.whole else piece.place
            row.append(piece._replace(text=part, place=place, width=0))
            at += len(part) + skipped
            room -= used
        if piece.width and room > 0 and first:
            fill = min(piece.width - cells(visible(text)), room)
            if fill > 0:
                row.append(Piece(" " * fill))
                room -= fill
    yield row


def whole_words(part: str, following: str) -> str:
    """What fits a row without the word that goes on in the next; a word longer than half of it is cut in two.

    Args:
        part: As much of a text as fits.
        following: The character behind it.
    """
    end = len(part) if following == " " else part.rfind(" ") + 1
    return part[:end] if 2 * end >= len(part) else part
