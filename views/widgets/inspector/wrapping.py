"""How a row of the inspector fits its width: cut, or wrapped into as many rows as it takes."""

from rich.segment import Segment
from textual.strip import Strip

from views.widgets.inspector.page import Piece, Row
from workbench.decode.display import cells, count_fitting, visible


def crop(strip: Strip, width: int) -> Strip:
    """A strip with `…` at its end where there is no room for all."""
    if strip.cell_length <= width:
        return strip
    return Strip.join([strip.crop(0, width - 1), Strip([Segment("…")])]) if width > 0 else Strip([])


def wrap(row: Row, width: int) -> list[list[Piece]]:
    """A row's pieces in as many rows as they take; what follows a line break begins a row."""
    rows: list[list[Piece]] = [[]]
    indent = min(row.indent, width // 2)
    room = width
    for piece in row.pieces:
        text, at = piece.text, 0
        while at < len(text):
            if room <= 0:
                rows.append([Piece(" " * indent)])
                room = width - indent
            # A letter takes a cell at least, with up to two marks.
            ahead = text[at : at + 3 * (room + 1)]
            part = ahead[: count_fitting(ahead, room)]
            part = part[: part.find("\n") + 1] or part
            used = cells(visible(part))
            if used > room and len(rows[-1]) > 1:
                room = 0
                continue
            place = piece.place + at if piece.place >= 0 and not piece.whole else piece.place
            rows[-1].append(piece._replace(text=part, place=place, width=0))
            room = 0 if part.endswith("\n") and at + len(part) < len(text) else room - used
            at += len(part)
        if piece.width and room > 0 and len(rows) == 1:
            fill = min(piece.width - cells(visible(text)), room)
            if fill > 0:
                rows[-1].append(Piece(" " * fill))
                room -= fill
    return rows
