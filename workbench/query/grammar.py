"""The grammar of the query language: text → tree, with errors that point at a column.

    query      = any of it, combined by `and`, `or`, `not` and parentheses; words side by side mean `and`
    comparison = SYMBOL (`=` | `==` | `!=` | `>` | `>=` | `<` | `<=` | `~` | `=~` | `contains` | `starts`) VALUE
               | SYMBOL `exists` | SYMBOL `in` (VALUE, …) | SYMBOL `between` VALUE `and` VALUE
    search     = WORD | 'words'

A value reaches to the next space, comma or parenthesis, so that ids need no quotes. In quotes a doubled quote is one
quote, and a backslash is a backslash. Keywords are written in either case, symbols in lower case.

Written by hand rather than with a parser generator: where a token ends depends on what is expected there, every error
needs a sentence of its own, and the completion of a half-written query falls out of the same walk.
"""

import re
from contextlib import suppress
from typing import Final, Literal, NoReturn, TypeAlias

import msgspec

from workbench.model.errors import QueryError

SYMBOLS: Final = {
    "time": "the event's own time, else when it was seen",
    "age": "how long before now that was",
    "key": "Kafka's record key, RabbitMQ's routing key",
    "type": "what kind of event it is",
    "correlation": "which flow it belongs to",
    "causation": "the message that caused it",
    "message": "its own id",
    "origin": "where a dead letter came from",
    "reason": "why it became a dead letter",
    "attempts": "how often it was tried",
    "endpoint": "the queue, exchange, stream or topic",
    "partition": "its partition",
    "offset": "its offset",
    "size": "bytes in its body",
    "body": "the body as text; body.PATH is a field of it",
}
"""What a query can speak of besides `header.NAME` and `property.NAME`, and what it means."""

PATHS: Final = ("body", "header", "property")
"""The symbols that a path follows."""

OPERATORS: Final = ("=", "!=", ">", ">=", "<", "<=", "~", "contains", "starts", "exists", "in", "between")
"""What follows a symbol; `==` and `=~` are other spellings of `=` and `~`."""

Operator = Literal["=", ">", ">=", "<", "<=", "~", "contains", "starts", "in", "between"]

Step: TypeAlias = str | int | None
"""One step of a path: a field's name, an array's index, or None for every element (`[]`)."""


class Symbol(msgspec.Struct, frozen=True):
    """What is compared.

    Attributes:
        name: One of `SYMBOLS`, `header` or `property`.
        path: The steps behind it.
        column: Where it stands, from 0.
        quoted: Whether the first step was written in quotes and so is a whole name.
    """

    name: str
    path: tuple[Step, ...]
    column: int
    quoted: bool = False


class Written(msgspec.Struct, frozen=True):
    """A value as the user wrote it: its text, where it stands, and whether in quotes."""

    text: str
    column: int
    quoted: bool = False


class Word(msgspec.Struct, frozen=True):
    """A text that is searched for everywhere."""

    literal: Written


class Exists(msgspec.Struct, frozen=True):
    """Whether a symbol has a value."""

    symbol: Symbol


class Comparison(msgspec.Struct, frozen=True):
    """A symbol compared with one value, with two (`between`), or with any number of them (`in`)."""

    symbol: Symbol
    operator: Operator
    literals: tuple[Written, ...]


class Not(msgspec.Struct, frozen=True):
    """What must not be."""

    part: "Node"


class All(msgspec.Struct, frozen=True):
    """What must all be; nothing: everything matches."""

    parts: tuple["Node", ...]


class Either(msgspec.Struct, frozen=True):
    """Of which one must be."""

    parts: tuple["Node", ...]


Node: TypeAlias = Word | Exists | Comparison | Not | All | Either


class Expected(msgspec.Struct, frozen=True):
    """What the grammar wanted at a column; `symbol` is what an operator or value belongs to, as it was written."""

    column: int
    what: Literal["term", "operator", "value", "connective"]
    symbol: str = ""


def parse(text: str) -> Node:
    """Read a query.

    Raises:
        QueryError: It is not one; the error says what to write, and where.
    """
    return _Parser(text).query()


def expectations(text: str) -> list[Expected]:
    """What the grammar wanted at each token of a query that may be unfinished, in order."""
    parser = _Parser(text)
    with suppress(QueryError):
        parser.query()
    return parser.expected


_DEPTH: Final = 100
_TERM: Final = re.compile(r"""(?:[^\s()'",=!<>~]|!(?!=)|(?<=\.)(?:'(?:[^']|'')*'|"(?:[^"]|"")*"))+""")
_QUOTED: Final = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*\"""")
_VALUE: Final = re.compile(r"[^\s(),'\"][^\s(),]*")
_SIGN: Final = re.compile(r"==|=~|!=|>=|<=|=|>|<|~")
_KEYWORD: Final = re.compile(r"(?:and|or|not|contains|starts|exists|in|between)(?![^\s()'\",=!<>~])", re.IGNORECASE)
_STEP: Final = re.compile(r"""\.(?:'((?:[^']|'')*)'|"((?:[^"]|"")*)"|([^.\[\]'"]+))|\[(\d{0,9})\]""")
_ALIASES: Final = {"==": "=", "=~": "~"}


class _Parser:
    """Recursive descent over one text; `_at` is where it has got to."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self.expected: list[Expected] = []

    def query(self) -> Node:
        if not self._text.strip():
            self._want("term")
            return All(())
        node = self._any()
        if self._at < len(self._text):
            self._fail(f"{self._text[self._at]!r} does not belong here: quote it to search for it")
        return node

    def _any(self) -> Node:
        parts = [self._all()]
        while self._keyword("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _all(self) -> Node:
        parts = [self._not()]
        while True:
            self._want("connective")
            if not self._keyword("and") and (self._ended() or self._keyword("or", take=False)):
                return parts[0] if len(parts) == 1 else All(tuple(parts))
            parts.append(self._not())

    def _not(self) -> Node:
        negated = False
        while True:
            self._want("term")
            if not self._keyword("not"):
                break
            negated = not negated
        node = self._primary()
        return Not(node) if negated else node

    def _primary(self) -> Node:
        if self._take("("):
            opened = self._at - 1
            self._depth += 1
            if self._depth > _DEPTH:
                self._fail(f"more than {_DEPTH} parentheses are open: write the query flatter", opened)
            node = self._any()
            if not self._take(")"):
                self._fail("this parenthesis is not closed", opened)
            self._depth -= 1
            return node
        column = self._at
        if self._text[column : column + 1] in ("'", '"'):
            return Word(self._quoted())
        if self._ended():
            self._fail("something is missing here: a comparison such as type = OrderPlaced, or a word to search for")
        if keyword := _KEYWORD.match(self._text, column):
            self._fail(f"{keyword[0]!r} needs something before it: quote it to search for the word")
        if not (term := _TERM.match(self._text, column)):
            self._fail("a symbol is missing before this: quote it to search for it")
        self._at = term.end()
        operator = self._operator(term[0])
        if operator is None:
            return Word(Written(term[0], column))
        return self._comparison(self._symbol(term[0], column), term[0], operator)

    def _operator(self, term: str) -> str | None:
        self._want("operator", term)
        if match := _SIGN.match(self._text, self._at):
            self._at = match.end()
            return _ALIASES.get(match[0], match[0])
        match = _KEYWORD.match(self._text, self._at)
        if match and match[0].lower() in OPERATORS:
            self._at = match.end()
            return match[0].lower()
        return None

    def _comparison(self, symbol: Symbol, written: str, operator: str) -> Node:
        if operator == "exists":
            return Exists(symbol)
        if operator == "in":
            return Comparison(symbol, "in", self._list(written))
        literals = [self._value(written)]
        if operator == "between":
            self._skip()
            if not self._keyword("and"):
                self._fail("between needs two values: write between 1 and 10")
            literals.append(self._value(written))
        if operator == "!=":
            return Not(Comparison(symbol, "=", tuple(literals)))
        return Comparison(symbol, msgspec.convert(operator, Operator), tuple(literals))

    def _list(self, written: str) -> tuple[Written, ...]:
        self._skip()
        if not self._take("("):
            self._fail("in needs a list: write in (one, two)")
        opened = self._at - 1
        literals = [self._value(written)]
        while self._take(","):
            literals.append(self._value(written))
        if not self._take(")"):
            self._fail("this parenthesis is not closed", opened)
        return tuple(literals)

    def _value(self, symbol: str) -> Written:
        self._want("value", symbol)
        if self._text[self._at : self._at + 1] in ("'", '"'):
            return self._quoted()
        if not (match := _VALUE.match(self._text, self._at)):
            self._fail("a value is missing here")
        self._at = match.end()
        return Written(match[0], match.start())

    def _quoted(self) -> Written:
        column = self._at
        if not (match := _QUOTED.match(self._text, column)):
            self._fail("this quote is not closed")
        self._at = match.end()
        quote = match[0][0]
        return Written(match[0][1:-1].replace(quote * 2, quote), column, quoted=True)

    def _symbol(self, term: str, column: int) -> Symbol:
        name = re.match(r"[^.\[]*", term)
        assert name is not None
        rest = name.end()
        if name[0] not in SYMBOLS and name[0] not in PATHS:
            self._fail(
                f"{term!r} is no symbol: use {', '.join(SYMBOLS)}, body.{term}, header.{term} or property.{term}",
                column,
            )
        path: list[Step] = []
        quoted = False
        while match := _STEP.match(term, rest):
            if match[4] is not None:
                path.append(int(match[4]) if match[4] else None)
            else:
                single, double, plain = match.group(1, 2, 3)
                quoted |= plain is None and not path
                path.append(plain or (single or "").replace("''", "'") or (double or "").replace('""', '"'))
            rest = match.end()
        if rest < len(term):
            self._fail("this is no path: write body.items[0].sku, or body.items[].sku for any item", column + rest)
        if path and name[0] not in PATHS:
            self._fail(f"{name[0]} has no fields: write {name[0]} alone", column + len(name[0]))
        if name[0] in ("header", "property") and not (path and isinstance(path[0], str)):
            self._fail(f"{name[0]} needs a name: write {name[0]}.NAME", column)
        return Symbol(name[0], tuple(path), column, quoted)

    def _keyword(self, word: str, *, take: bool = True) -> bool:
        match = _KEYWORD.match(self._text, self._at)
        if match is None or match[0].lower() != word:
            return False
        if take:
            self._at = match.end()
            self._skip()
        return True

    def _take(self, character: str) -> bool:
        self._skip()
        if not self._text.startswith(character, self._at):
            return False
        self._at += 1
        self._skip()
        return True

    def _want(self, what: Literal["term", "operator", "value", "connective"], symbol: str = "") -> None:
        self._skip()
        self.expected.append(Expected(self._at, what, symbol))

    def _skip(self) -> None:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1

    def _ended(self) -> bool:
        return self._at == len(self._text) or self._text[self._at] == ")"

    def _fail(self, message: str, column: int | None = None) -> NoReturn:
        raise QueryError(message, self._at if column is None else column)
