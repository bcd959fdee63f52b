r"""
Regular expressions in Python's syntax, searched in linear time by RE2.

Python's own engine backtracks: ``(\d+)/(\d+)`` on 58 KiB of digits takes 37 s, and no other thread runs meanwhile. RE2
takes linear time for any pattern, and lets other threads run. A pattern is parsed by Python's parser, so that its
syntax and its errors are Python's, and is translated to RE2's syntax without importing RE2. Features that RE2 doesn't
support are refused: lookahead and lookbehind, back-references, atomic groups.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

# The parser has no public name.
from re import _constants as sre  # type: ignore[attr-defined]  # private in Python
from re import _parser as parser  # type: ignore[attr-defined]  # private in Python
from typing import TYPE_CHECKING, Any

from airflow_provider_asyncapi.core.errors import SelectorError
from airflow_provider_asyncapi.core.lazy import LazyModule

if TYPE_CHECKING:
    import re2
else:
    re2 = LazyModule("re2")

#: Largest number of repetitions of all parts of a pattern together, nested ones multiplied; those that match any
#: character count twice. RE2 makes a copy of the part for each, and may look at all copies at each byte of a text:
#: ``(.?){1000}b`` takes 200 ms for 4 KiB, which are searched on the event loop, and as many as this 50 ms at most.
_MAX_REPETITIONS = 500
_WORD = (r"\p{L}", r"\p{Nd}", r"\p{Nl}\p{No}", "_")
#: The content of brackets for a category, without and with the flag for ASCII.
_CATEGORIES = {
    sre.CATEGORY_DIGIT: (r"\p{Nd}", "0-9"),
    sre.CATEGORY_SPACE: (r"\t-\r\x1c-\x1f\x{85}\p{Z}", r"\t-\r "),
    sre.CATEGORY_WORD: ("".join(_WORD), "0-9A-Za-z_"),
}
_NEGATED_CATEGORIES = {
    sre.CATEGORY_NOT_DIGIT: sre.CATEGORY_DIGIT,
    sre.CATEGORY_NOT_SPACE: sre.CATEGORY_SPACE,
    sre.CATEGORY_NOT_WORD: sre.CATEGORY_WORD,
}
_ANCHORS = {
    sre.AT_BEGINNING: r"\A",
    sre.AT_BEGINNING_STRING: r"\A",
    # Also before a line break at the end of the text, which isn't part of the match: see _number_ends.
    sre.AT_END: "\0",
    sre.AT_END_STRING: r"\z",
    sre.AT_BOUNDARY: r"\b",
    sre.AT_NON_BOUNDARY: r"\B",
}
#: The name of the author's first group.
_FIRST_GROUP = "first"
#: How a group without a number, and the first group, are written for RE2.
_GROUP_PREFIXES = {None: "?:", 1: f"?P<{_FIRST_GROUP}>"}
_ANCHORS_OF_LINES = {sre.AT_BEGINNING: "(?m:^)", sre.AT_END: "(?m:$)"}
_UNSUPPORTED = {
    sre.ASSERT: "looking ahead or behind",
    sre.ASSERT_NOT: "looking ahead or behind",
    sre.FAILURE: "looking ahead or behind",
    sre.GROUPREF: "a back-reference",
    sre.GROUPREF_EXISTS: "a condition on a group",
    sre.ATOMIC_GROUP: "an atomic group",
    sre.POSSESSIVE_REPEAT: "a possessive quantifier",
}


@dataclass(frozen=True, slots=True)
class Pattern:
    """
    A regular expression.

    :param text: the expression as the DAG's author wrote it.
    :param translated: the expression in RE2's syntax.
    :param groups: the number of groups.
    """

    text: str
    translated: str
    groups: int

    def matches(self, text: str) -> bool:
        """Return whether the pattern matches somewhere in a text."""
        return self._search(text) is not None

    def extract(self, text: str) -> str | None:
        """Return the text of the first group, or of the whole match if there is no group; None if nothing matches."""
        match = self._search(text)
        if match is None:
            return None
        wanted = _compile(self.translated).groupindex[_FIRST_GROUP] if self.groups else 0
        found: str | None = match[wanted]
        took_line_break = any(name != _FIRST_GROUP and taken for name, taken in match.groupdict().items())
        return found[:-1] if found and took_line_break and match.end(wanted) == match.end() else found

    def _search(self, text: str) -> re2._Match | None:
        # RE2 searches bytes, and a lone surrogate has no encoding.
        text = text if text.isascii() else text.encode("utf-8", "replace").decode()
        return _compile(self.translated).search(text)


@lru_cache(maxsize=1024)
def parse_pattern(text: str, *, ignore_case: bool = False) -> Pattern:
    """
    Parse a regular expression in Python's syntax.

    :raises SelectorError: if it is malformed, or has a part that RE2 doesn't support.
    """
    try:
        parsed = parser.parse(text, re.IGNORECASE if ignore_case else 0)
        if _count_repetitions(parsed, 1) > _MAX_REPETITIONS:
            raise SelectorError(
                f"regex {text!r}: it repeats its parts more than {_MAX_REPETITIONS} times (nested repetitions multiply,"
                " and . counts twice), which may take long to search for; write * or + for a repetition of any length"
            )
        translated = _number_ends(_translate_sequence(parsed, parsed.state.flags))
    except (re.error, OverflowError, RecursionError) as error:
        raise SelectorError(f"regex {text!r}: {error}") from None
    except _UnsupportedError as error:
        raise SelectorError(
            f"regex {text!r}: {error} isn't supported by RE2, which searches in linear time; put the part to extract"
            r" into a group, as in 'regex:/jobs/(\w+)'"
        ) from None
    is_caseless = parsed.state.flags & re.IGNORECASE
    return Pattern(text, f"(?i:{translated})" if is_caseless else translated, parsed.state.groups - 1)


def _number_ends(translated: str) -> str:
    """Translate each `$`: a separate named group matches a line break at the end of the text."""
    begins, *rest = translated.split("\0")
    return begins + "".join(rf"(?P<end{number}>\n)?\z{part}" for number, part in enumerate(rest))


class _UnsupportedError(Exception):
    """A part of a pattern that RE2 doesn't support."""


@lru_cache(maxsize=256)
def _compile(translated: str) -> re2._Regexp:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(translated, options)
    except re2.error as error:
        raise SelectorError(f"regex: RE2 doesn't support it ({error})") from None


def _count_repetitions(items: Iterable[tuple[Any, Any]], copies: int) -> int:
    """
    Return the number of copies that RE2 makes of all parts of a pattern that are repeated.

    :param copies: number of copies that the enclosing repetitions make of the parts.
    """
    count = 0
    for kind, argument in items:
        match kind:
            case sre.BRANCH:
                count += sum(_count_repetitions(each, copies) for each in argument[1])
            case sre.SUBPATTERN:
                count += _count_repetitions(argument[-1], copies)
            case sre.MAX_REPEAT | sre.MIN_REPEAT:
                least, most, inner = argument
                count += _count_repetitions(inner, copies * max(1, least if most == sre.MAXREPEAT else most))
            case _ if copies > 1:
                count += copies * (1 + _matches_any_character(kind, argument))
    return count


def _matches_any_character(kind: Any, argument: Any) -> bool:
    """Return whether a part matches most characters, each of which has up to four bytes."""
    is_wide_set = kind is sre.IN and any(each is sre.NEGATE or each is sre.CATEGORY for each, _ in argument)
    return is_wide_set or kind is sre.ANY or kind is sre.NOT_LITERAL


def _translate_sequence(items: Iterable[tuple[Any, Any]], flags: int) -> str:
    """
    Write parts of a pattern that follow each other.

    :param flags: the flags that apply there.
    """
    return "".join(_translate_part(kind, argument, flags) for kind, argument in items)


def _translate_part(kind: Any, argument: Any, flags: int) -> str:
    match kind:
        case sre.LITERAL:
            return _escape_character(argument)
        case sre.NOT_LITERAL:
            return f"[^{_escape_character(argument)}]"
        case sre.ANY:
            return "(?s:.)" if flags & re.DOTALL else r"[^\n]"
        case sre.AT:
            lines = _ANCHORS_OF_LINES if flags & re.MULTILINE else {}
            return lines.get(argument) or _ANCHORS[argument]
        case sre.IN:
            return _translate_set(argument, flags)
        case sre.BRANCH:
            return f"(?:{'|'.join(_translate_sequence(each, flags) for each in argument[1])})"
        case sre.SUBPATTERN:
            group, added, removed, inner = argument
            written = _translate_sequence(inner, (flags | added) & ~removed)
            if (added | removed) & re.IGNORECASE:
                written = f"(?{'i' if added & re.IGNORECASE else '-i'}:{written})"
            return f"({_GROUP_PREFIXES.get(group, '')}{written})"
        case sre.MAX_REPEAT | sre.MIN_REPEAT:
            least, most, inner = argument
            lazy = "?" * (kind is sre.MIN_REPEAT)
            return f"(?:{_translate_sequence(inner, flags)}){_format_quantifier(least, most)}{lazy}"
    raise _UnsupportedError(_UNSUPPORTED.get(kind, str(kind)))


def _format_quantifier(least: int, most: int) -> str:
    return f"{{{least},}}" if most == sre.MAXREPEAT else f"{{{least},{most}}}"


def _translate_set(items: list[tuple[Any, Any]], flags: int) -> str:
    """Translate a set of characters; RE2's brackets don't support negated categories."""
    is_negated = items[0][0] is sre.NEGATE
    items = items[is_negated:]
    negated = [
        _NEGATED_CATEGORIES[value] for kind, value in items if kind is sre.CATEGORY and value in _NEGATED_CATEGORIES
    ]
    others = [(kind, value) for kind, value in items if kind is not sre.CATEGORY or value not in _NEGATED_CATEGORIES]
    if not negated:
        return f"[{'^' * is_negated}{''.join(_translate_set_item(kind, value, flags) for kind, value in others)}]"
    if not is_negated:
        parts = [f"[^{_translate_set_item(sre.CATEGORY, each, flags)}]" for each in negated]
        return f"(?:{'|'.join([*parts, _translate_set(others, flags)] if others else parts)})"
    if not others and len(negated) == 1:
        return f"[{_translate_set_item(sre.CATEGORY, negated[0], flags)}]"
    excluded = [_translate_set_item(kind, value, 0) for kind, value in others]
    kept = [each for each in _WORD if each not in excluded]
    if negated != [sre.CATEGORY_WORD] or len(kept) + len(excluded) != len(_WORD) or flags & re.ASCII:
        raise _UnsupportedError(r"a set such as [^\W…] or [^\S…]")
    return f"[{''.join(kept)}]"


def _translate_set_item(kind: Any, value: Any, flags: int) -> str:
    if kind is sre.LITERAL:
        return _escape_character(value)
    if kind is sre.RANGE:
        return "-".join(map(_escape_character, value))
    in_unicode, in_ascii = _CATEGORIES[value]
    return in_ascii if flags & re.ASCII else in_unicode


def _escape_character(code: int) -> str:
    character = chr(code)
    return character if (character.isalnum() and character.isascii()) or character == "_" else f"\\x{{{code:x}}}"
