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
from collections.abc import Mapping
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


def conjuncts(text: str) -> list[tuple[Node, int, int]]:
    """The parts of a query that must all be, each with where it begins and ends: all of it where only one must.

    Raises:
        QueryError: It is no query.
    """
    parser = _Parser(text)
    node = parser.query()
    if isinstance(node, Either):
        return [(node, 0, len(text))]
    if isinstance(node, All) and len(parser.conjuncts) == 1:
        # All of it is in parentheses.
        before = text.index("(") + 1
        inner = conjuncts(text[before : text.rindex(")")])
        return [(part, begin + before, end + before) for part, begin, end in inner]
    return parser.conjuncts


def expectations(text: str) -> list[Expected]:
    """What the grammar wanted at each token of a query that may be unfinished, in order."""
    parser = _Parser(text)
    with suppress(QueryError):
        parser.query()
    return parser.expected


def parse_symbol(text: str) -> Symbol:
    """Read a symbol by itself, such as `type`, `header.retry` or `body.items[0].sku`.

    Raises:
        QueryError: It is none; the error says what to write, and where.
    """
    return _Parser(text).symbol()


_DEPTH: Final = 100
_OTHER_NAMES: Final = {
    "headers": "header",
    "props": "property",
    "properties": "property",
    **dict.fromkeys(("payload", "value", "data", "content"), "body"),
    **dict.fromkeys(("timestamp", "date", "at"), "time"),
    **dict.fromkeys(("id", "message_id", "messageId"), "message"),
    **dict.fromkeys(("correlation_id", "correlationId", "corr"), "correlation"),
    **dict.fromkeys(("topic", "queue", "exchange", "stream", "from"), "endpoint"),
    **dict.fromkeys(("routing_key", "routingKey"), "key"),
    **dict.fromkeys(("error", "failure", "exception"), "reason"),
    **dict.fromkeys(("retries", "attempt", "deliveries"), "attempts"),
}
"""What others call our symbols."""
_OTHER_SIGNS: Final = {
    **dict.fromkeys(("===", ":", ":="), "="),
    **dict.fromkeys(("<>", "=!", "!==", "=!="), "!="),
    **dict.fromkeys(("=>", ">>", "=>="), ">="),
    **dict.fromkeys(("=<", "<<", "=<="), "<="),
    "~=": "~",
}
_OTHER_OPERATORS: Final = {
    **dict.fromkeys(("is", "eq", "equals", "equal"), "="),
    **dict.fromkeys(("isnt", "ne", "neq", "isn't"), "!="),
    **dict.fromkeys(("gt", "above", "over"), ">"),
    **dict.fromkeys(("gte", "ge"), ">="),
    **dict.fromkeys(("lt", "below", "under"), "<"),
    **dict.fromkeys(("lte", "le"), "<="),
    **dict.fromkeys(("like", "ilike", "matches", "match", "regex"), "~"),
    **dict.fromkeys(("has", "includes", "include", "contain"), "contains"),
    **dict.fromkeys(("startswith", "begins", "start", "prefix"), "starts"),
    **dict.fromkeys(("exist", "present"), "exists"),
}
"""What other languages write for our operators."""
_OTHER_WORDS: Final = {"&&": "and", "&": "and", "||": "or", "|": "or", "!": "not"}
_TERM: Final = re.compile(r"""(?:[^\s()'",=!<>~]|!(?!=)|(?<=\.)(?:'(?:[^']|'')*'|"(?:[^"]|"")*"))+""")
_QUOTED: Final = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*\"""")
_VALUE: Final = re.compile(r"[^\s(),'\"][^\s(),]*")
_SIGN: Final = re.compile(r"[=!<>~]+")
_SIGNS: Final = frozenset(("==", "=~", "!=", ">=", "<=", "=", ">", "<", "~"))
_COLON: Final = re.compile(r"([a-z]+)(?:[.\[][^:]*)?:")
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
        self.conjuncts: list[tuple[Node, int, int]] = []

    def query(self) -> Node:
        if not self._text.strip():
            self._want("term")
            return All(())
        node = self._any()
        if self._at < len(self._text):
            self._fail(f"Unexpected {self._text[self._at]!r}. Quote it to search for it.")
        return node

    def symbol(self) -> Symbol:
        if not (term := _TERM.fullmatch(self._text)):
            self._fail("Write a field, such as type, header.retry or body.items[0].sku.", 0)
        return self._symbol(term[0], 0)

    def _any(self) -> Node:
        parts = [self._all()]
        while self._keyword("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _all(self) -> Node:
        parts: list[tuple[Node, int, int]] = []
        while True:
            self._skip()
            begin = self._at
            node = self._not()
            parts.append((node, begin, len(self._text[: self._at].rstrip())))
            self._want("connective")
            if not self._keyword("and") and (self._at_end() or self._keyword("or", take=False)):
                break
        if not self._depth:
            self.conjuncts = parts
        return node if len(parts) == 1 else All(tuple(node for node, _, _ in parts))

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
                self._fail(f"More than {_DEPTH} nested parentheses.", opened)
            node = self._any()
            if not self._take(")"):
                self._fail("Missing closing parenthesis.", opened)
            self._depth -= 1
            return node
        column = self._at
        if self._text[column : column + 1] in ("'", '"'):
            return Word(self._read_quoted())
        if self._at_end():
            self._fail("Incomplete query: a comparison such as type = OrderPlaced is missing here, or a word to find.")
        if keyword := _KEYWORD.match(self._text, column):
            self._fail(f"There is nothing before {keyword[0]!r}. Quote it to search for the word.")
        if not (term := _TERM.match(self._text, column)):
            self._fail("There is no field before this operator. Quote it to search for the text.")
        self._at = term.end()
        operator = self._operator(term[0])
        if operator is None:
            self._check_word(term[0], column)
            return Word(Written(term[0], column))
        return self._comparison(self._symbol(term[0], column), term[0], operator)

    def _operator(self, term: str) -> str | None:
        self._want("operator", term)
        if match := _SIGN.match(self._text, self._at):
            if match[0] not in _SIGNS:
                self._fail(_unknown_operator(match[0], _OTHER_SIGNS))
            self._at = match.end()
            return _ALIASES.get(match[0], match[0])
        match = _KEYWORD.match(self._text, self._at)
        if match and match[0].lower() in OPERATORS:
            self._at = match.end()
            return match[0].lower()
        return None

    def _check_word(self, term: str, column: int) -> None:
        """A word that was meant for something else is no word to search for."""
        if term in _OTHER_WORDS:
            self._fail(f"Write {_OTHER_WORDS[term]} instead of {term}, or quote it to search for it.", column)
        if (colon := _COLON.match(term)) and (colon[1] in SYMBOLS or colon[1] in PATHS):
            field, value = term[: colon.end() - 1], term[colon.end() :] or "…"
            self._fail(f"Write {field} = {value}, or quote it to search for the text.", column)
        name = re.match(r"[^.\[]*", term)
        assert name is not None
        # A word that only begins like a path, such as a host's name, is one.
        if not (name[0] in PATHS and name.end() < len(term)) and not (name.end() == len(term) and name[0] in SYMBOLS):
            return
        following = _TERM.match(self._text, self._at)
        if following and following[0].lower() in _OTHER_OPERATORS:
            self._fail(_unknown_operator(following[0], _OTHER_OPERATORS))
        self._fail(f"{term} is a field: compare it, as in {term} = x, or quote it to search for the word.", column)

    def _comparison(self, symbol: Symbol, written: str, operator: str) -> Node:
        if operator == "exists":
            return Exists(symbol)
        if operator == "in":
            return Comparison(symbol, "in", self._list(written))
        literals = [self._value(written)]
        if operator == "between":
            self._skip()
            if not self._keyword("and"):
                self._fail("between takes two values: between 1 and 10.")
            literals.append(self._value(written))
        if operator == "!=":
            return Not(Comparison(symbol, "=", tuple(literals)))
        return Comparison(symbol, msgspec.convert(operator, Operator), tuple(literals))

    def _list(self, written: str) -> tuple[Written, ...]:
        self._skip()
        if not self._take("("):
            self._fail("in takes a list: in (one, two).")
        opened = self._at - 1
        literals = [self._value(written)]
        while self._take(","):
            literals.append(self._value(written))
        if not self._take(")"):
            self._fail("Missing closing parenthesis.", opened)
        return tuple(literals)

    def _value(self, symbol: str) -> Written:
        self._want("value", symbol)
        if self._text[self._at : self._at + 1] in ("'", '"'):
            return self._read_quoted()
        if not (match := _VALUE.match(self._text, self._at)):
            self._fail("Missing value.")
        if match[0] in _SIGNS:
            self._fail(f"Missing value before {match[0]}. Quote it if it is the value.")
        self._at = match.end()
        return Written(match[0], match.start())

    def _read_quoted(self) -> Written:
        column = self._at
        if not (match := _QUOTED.match(self._text, column)):
            self._fail("Missing closing quote.")
        self._at = match.end()
        quote = match[0][0]
        return Written(match[0][1:-1].replace(quote * 2, quote), column, quoted=True)

    def _symbol(self, term: str, column: int) -> Symbol:
        name = re.match(r"[^.\[]*", term)
        assert name is not None
        rest = name.end()
        if name[0] not in SYMBOLS and name[0] not in PATHS:
            self._fail(_unknown_field(term, name[0]), column)
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
            self._fail("Invalid path. Write body.items[0].sku, or body.items[].sku for any item.", column + rest)
        if path and name[0] not in PATHS:
            self._fail(f"{name[0]} has no fields. Write {name[0]} alone.", column + len(name[0]))
        if name[0] in ("header", "property") and not (path and isinstance(path[0], str)):
            self._fail(f"{name[0]} needs a name: {name[0]}.NAME.", column)
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

    def _at_end(self) -> bool:
        return self._at == len(self._text) or self._text[self._at] == ")"

    def _fail(self, message: str, column: int | None = None) -> NoReturn:
        raise QueryError(message, self._at if column is None else column)


def _unknown_operator(written: str, others: Mapping[str, str]) -> str:
    meant = others.get(written.lower())
    return f"Unknown operator {written}. " + (f"Did you mean {meant}?" if meant else f"Use {', '.join(OPERATORS)}.")


def _unknown_field(term: str, name: str) -> str:
    # Imported where somebody has mistyped: it takes a while to load.
    from difflib import get_close_matches

    if name.startswith("!") and len(name) > 1:
        return f"Write not {term[1:]} … instead of {term}."
    names = [*SYMBOLS, *PATHS[1:]]
    meant = _OTHER_NAMES.get(name) or next(iter(get_close_matches(name.lower(), names, 1, 0.7)), None)
    if meant is None:
        return f"Unknown field {term}. Write body.{term} for a field of the body, header.{term} for a header."
    path = term[len(name) :] if meant in PATHS else ""
    return f"Unknown field {term}. Did you mean {meant}{path or ('.NAME' if meant in PATHS[1:] else '')}?"
