"""Write a profile as TOML that people can read and edit, with comments."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider_asyncapi.core.profiles.lint import KeyPath

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
#: Characters that are plain in a string of JSON, and escaped in a string of TOML.
_UNESCAPED = re.compile(r"[\x7f\ud800-\udfff]")
#: The length of a line, in characters, from which a list gets a line for each item, and a table a header.
_MAX_LINE = 120


def format_profile(
    profile: Mapping[str, Any],
    *,
    heading: str = "",
    comments: Mapping[KeyPath, str] | None = None,
    marks: Mapping[KeyPath, str] | None = None,
) -> str:
    """
    Return a profile as TOML.

    :param profile: the tables by name, and ``extends``. Values that are None and empty tables are left out.
    :param heading: the comment at the top.
    :param comments: comments by the path of a key or a table, such as ``("status", "completion_value")``, which are
        written above it. The comment of a key that isn't there marks a gap: it is written at the end of its table,
        with the name of the key.
    :param marks: short comments by the path of a key, which are written beside it, such as the origin of a value.
    """
    writer = _Writer(comments or {}, marks or {})
    blocks = [_format_comment(heading)] if heading else []
    simple = {name: value for name, value in profile.items() if not isinstance(value, Mapping)}
    if top := list(writer.format_keys((), simple)):
        blocks.append("\n".join(top))
    tables = {name: value for name, value in profile.items() if isinstance(value, Mapping)}
    # A table of gaps only is written too.
    tables.update({path[0]: {} for path in writer.comments if len(path) > 1 and path[0] not in tables})
    for name, content in tables.items():
        blocks.extend(writer.format_table((name,), content))
    return "\n\n".join(blocks) + "\n"


class _Writer:
    """Writes tables with the comments of one profile."""

    def __init__(self, comments: Mapping[KeyPath, str], marks: Mapping[KeyPath, str]) -> None:
        self.comments, self._marks = comments, marks

    def format_table(self, path: KeyPath, content: Mapping[str, Any]) -> Iterator[str]:
        """Yield the block of a table, and after it the blocks of its tables that are too long for a line."""
        content = {key: value for key, value in content.items() if value is not None}
        inner = {key: value for key, value in content.items() if self._needs_header((*path, key), value)}
        lines = list(self.format_keys(path, {key: value for key, value in content.items() if key not in inner}))
        gaps = {
            key: text for (*parent, key), text in self.comments.items() if tuple(parent) == path and key not in content
        }
        lines.extend(_format_comment(f"{key}: {text}") for key, text in gaps.items())
        if lines:
            comment = [_format_comment(self.comments[path])] if path in self.comments else []
            yield "\n".join([*comment, self._mark(path, f"[{'.'.join(map(_format_key, path))}]"), *lines])
        for key, value in inner.items():
            yield from self.format_table((*path, key), value)

    def format_keys(self, path: KeyPath, content: Mapping[str, Any]) -> Iterator[str]:
        """Yield the lines of the keys of a table."""
        for key, value in content.items():
            if value is None:
                continue
            here = (*path, key)
            if here in self.comments:
                yield _format_comment(self.comments[here])
            line = f"{_format_key(key)} = {_format_value(value)}"
            if isinstance(value, list) and len(line) > _MAX_LINE:
                items = "".join(f"  {_format_value(each)},\n" for each in value)
                line = f"{_format_key(key)} = [\n{items}]"
            yield self._mark(here, line)

    def _mark(self, path: KeyPath, line: str) -> str:
        return f"{line}  # {_join_lines(self._marks[path])}" if path in self._marks else line

    def _needs_header(self, path: KeyPath, value: Any) -> bool:
        if not isinstance(value, Mapping):
            return False
        length = len(f"{path[-1]} = {_format_value(value)}")
        return length > _MAX_LINE or any(
            len(each) > len(path) and each[: len(path)] == path for each in (*self.comments, *self._marks)
        )


def _format_comment(text: str) -> str:
    return "\n".join(f"# {line}".rstrip() for line in map(_join_lines, text.splitlines()))


def _join_lines(text: str) -> str:
    """Return a text without line breaks and the control characters that a comment must not have."""
    return re.sub(r"[\x00-\x1f\x7f\ud800-\udfff]+", " ", text)


def _format_key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _format_value(key)


def _format_value(value: Any) -> str:
    if isinstance(value, Mapping):
        items = ", ".join(
            f"{_format_key(key)} = {_format_value(each)}" for key, each in value.items() if each is not None
        )
        return f"{{ {items} }}" if items else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_format_value, value))}]"
    if isinstance(value, str):
        return _UNESCAPED.sub(_escape, json.dumps(value, ensure_ascii=False))
    if isinstance(value, bool):
        return "true" if value else "false"
    # TOML writes inf and nan as Python does.
    return repr(value)


def _escape(match: re.Match[str]) -> str:
    # TOML has no lone surrogates, not even escaped ones.
    return "\\u007f" if match[0] == "\x7f" else "\\ufffd"
