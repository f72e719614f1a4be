"""Reads PowerShell as far as quotes, comments and brackets go (about_Quoting_Rules,
about_Special_Characters). It is not PowerShell: it knows no command and no grammar.
"""

from __future__ import annotations

SINGLE = "'\u2018\u2019\u201a\u201b"
DOUBLE = '"\u201c\u201d\u201e'
PAIRS = {")": "(", "]": "[", "}": "{"}


class Unbalanced(Exception):
    """A quote or bracket is left open, or closed where none was."""


def tokens(text: str) -> list[tuple[str, str]]:
    """("string", value) for each single-quoted string, ("text", raw) for double-quoted ones,
    ("bracket", one) and ("code", run) for all else. Comments are left out.
    """
    found: list[tuple[str, str]] = []
    open_brackets: list[str] = []
    at, code = 0, ""
    while at < len(text):
        one = text[at]
        if text.startswith("<#", at):
            end = text.find("#>", at)
            if end < 0:
                raise Unbalanced("comment")
            at = end + 2
            continue
        if one == "#" and (not code or code[-1].isspace()):
            at = text.find("\n", at) if "\n" in text[at:] else len(text)
            continue
        if one not in SINGLE + DOUBLE + "()[]{}":
            code += one
            at += 2 if one == "`" else 1
            continue
        if code.strip():
            found.append(("code", code.strip()))
        code = ""
        if one in SINGLE:
            value, at = _single(text, at + 1)
            found.append(("string", value))
        elif one in DOUBLE:
            raw, at = _double(text, at + 1)
            found.append(("text", raw))
        else:
            _balance(open_brackets, one)
            found.append(("bracket", one))
            at += 1
    if open_brackets:
        raise Unbalanced(f"{open_brackets[-1]} is not closed")
    if code.strip():
        found.append(("code", code.strip()))
    return found


def _balance(open_brackets: list[str], one: str) -> None:
    if one in PAIRS.values():
        open_brackets.append(one)
    elif not open_brackets or open_brackets.pop() != PAIRS[one]:
        raise Unbalanced(f"{one} closes nothing")


def _single(text: str, at: int) -> tuple[str, int]:
    value = ""
    while at < len(text):
        if text[at] in SINGLE:
            if at + 1 < len(text) and text[at + 1] in SINGLE:
                value += text[at]
                at += 2
                continue
            return value, at + 1
        value += text[at]
        at += 1
    raise Unbalanced("single quote")


def _double(text: str, at: int) -> tuple[str, int]:
    start = at
    while at < len(text):
        if text[at] == "`":
            at += 2
        elif text.startswith("$(", at):
            at = _inner(text, at + 2)
        elif text[at] in DOUBLE:
            if at + 1 < len(text) and text[at + 1] in DOUBLE:
                at += 2
                continue
            return text[start:at], at + 1
        else:
            at += 1
    raise Unbalanced("double quote")


def _inner(text: str, at: int) -> int:
    """The end of a $( ) inside of a string."""
    depth = 1
    while at < len(text):
        if text[at] in SINGLE:
            _, at = _single(text, at + 1)
            continue
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        at += 1
        if not depth:
            return at
    raise Unbalanced("$(")
