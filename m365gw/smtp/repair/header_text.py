"""Text of header fields made fit for the wire: 8-bit text encoded (RFC 2047), display names quoted.

Devices write their names as they like: raw Latin-1, an "@" in a display name. Exchange reads the
first as rubbish and takes the second for an address that may not send. The letters are found out
(UTF-8 if they are that, else Windows-1252), nothing else of a value changes. What is not understood
is given back as None, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.header import Header
from email.utils import quote

ADDRESSES = frozenset(
    {"from", "sender", "reply-to", "to", "cc", "bcc", "disposition-notification-to"}
)
# Their grammar has no place for an encoded word.
STRUCTURED = frozenset(
    {
        *("content-type", "content-transfer-encoding", "content-disposition", "mime-version"),
        *("date", "message-id", "in-reply-to", "references", "received", "return-path"),
        *("dkim-signature", "arc-seal", "arc-message-signature", "arc-authentication-results"),
    }
)
MOST_RUNS = 100  # of words that can stand as they are, or cannot, in one value

_NAMED = re.compile(r'(?P<phrase>[^<>"]+)<(?P<address>[^<>]*)>')
_QUOTED = re.compile(r'"(?P<phrase>(?:[^"\\]|\\.)*)"\s*<(?P<address>[^<>]*)>', re.DOTALL)
_WHOLE = re.compile(r"[@<:]")  # what no display name alone holds
_NEEDS_QUOTES = re.compile(r"[@,;:\[\]\\]")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def decoded(octets: bytes) -> str:
    """The text these octets most likely are."""
    for charset in ("utf-8", "cp1252"):
        try:
            return octets.decode(charset)
        except UnicodeDecodeError:
            continue
    return octets.decode("latin-1")


def encoded(text: str, title: str) -> bytes:
    """A value of free text as it goes on the wire, folded; `title` is the name of its field.

    Only words with letters beyond ASCII are encoded, with the spaces between them; and words with
    controls, some of which (form feed) the standard library would take for the end of a line. A
    text that changes between the two more often than any person's is encoded as a whole, which is
    several times faster.
    """
    header = Header(header_name=title, maxlinelen=76)
    runs = list(_runs(text))
    for run, is_plain in runs if len(runs) <= MOST_RUNS else [(text, False)]:
        header.append(run, "us-ascii" if is_plain else "utf-8")
    return header.encode(linesep="\r\n").encode("ascii", "replace")


def encoded_addresses(text: str, title: str) -> bytes | None:
    """A list of addresses with its display names encoded where they must be.

    None: there is something beyond ASCII that is no display name.
    """
    written = [_encoded_mailbox(mailbox, title) for mailbox in mailboxes(text)]
    joined = ",\r\n ".join(written)
    return joined.encode("ascii") if joined.isascii() else None


def quoted_addresses(text: str) -> str:
    """A list of addresses with those display names quoted that would be read as addresses."""
    return ", ".join(_quoted_mailbox(mailbox) for mailbox in mailboxes(text))


def mailboxes(text: str) -> list[str]:
    """The members of a list of addresses; a comma in an unquoted display name divides none."""
    members: list[list[str]] = []  # each with the pieces it was divided into
    is_whole = True
    for piece in _pieces(text):
        if is_whole:
            members.append([piece])
        else:
            members[-1].append(piece)
        is_whole = _WHOLE.search(piece) is not None
    return [", ".join(member) for member in members if any(member)]


def _encoded_mailbox(mailbox: str, title: str) -> str:
    if mailbox.isascii():
        return mailbox
    match = _QUOTED.fullmatch(mailbox)
    phrase = _ESCAPED.sub(r"\1", match["phrase"]) if match else ""
    match = match or _NAMED.fullmatch(mailbox)
    if match is None:
        return mailbox
    phrase = phrase or match["phrase"].strip()
    name = Header(phrase, "utf-8", header_name=title, maxlinelen=76).encode(linesep="\r\n")
    return f"{name}\r\n <{match['address']}>"


def _quoted_mailbox(mailbox: str) -> str:
    match = _NAMED.fullmatch(mailbox)
    if match is None:
        return mailbox
    phrase = match["phrase"].strip()
    if "=?" in phrase or "(" in phrase or not _NEEDS_QUOTES.search(phrase):
        return mailbox
    return f'"{quote(phrase)}" <{match["address"]}>'


def _pieces(text: str) -> Iterator[str]:
    """What commas divide, but for those in quotes, comments and angle brackets."""
    start, depth, is_quoted, is_escaped = 0, 0, False, False
    for place, letter in enumerate(text):
        if is_escaped:
            is_escaped = False
        elif letter == "\\":
            is_escaped = True
        elif letter == '"':
            is_quoted = not is_quoted
        elif is_quoted:
            continue
        elif letter in "(<":
            depth += 1
        elif letter in ")>":
            depth = max(0, depth - 1)
        elif letter == "," and not depth:
            yield text[start:place].strip()
            start = place + 1
    yield text[start:].strip()


def _runs(text: str) -> Iterator[tuple[str, bool]]:
    """The words of a text, gathered by whether they can stand as they are."""
    run: list[str] = []
    was_plain = True
    for word in text.split(" "):
        is_plain = word.isascii() and word.isprintable()
        if run and is_plain != was_plain:
            yield " ".join(run), was_plain
            run = []
        run.append(word)
        was_plain = is_plain
    yield " ".join(run), was_plain
