"""`sendmail`: mail of local programs, taken whether the service runs or not.

The message goes into the maildrop, and the service picks it up from there. Options are Postfix's;
those of the first sendmail that mean nothing here are accepted and ignored, as Postfix does.
`-bp` lists the queue, `-q` flushes it. A message that was taken (exit code 0) is on stable storage.

Failures: as with Postfix nearly all end with 75, "try again", also wrong options, because many
callers throw the message away for anything else. A user who may not send gets 77.
"""

from __future__ import annotations

import os
import pwd
from contextlib import suppress

from attrs import define

from m365gw.cli.postfix.address_lists import BadAddresses, addresses
from m365gw.cli.postfix.call import CONTROL, EX_TEMPFAIL, Call, Fatal
from m365gw.cli.postfix.drop import drop, read_notice, user_name
from m365gw.cli.postfix.local_text import content_of, header_recipients
from m365gw.smtp.dropped import Dropped, NotDropped, render

EX_DATAERR = 65

_LETTERS = "A:B:C:F:GIL:N:O:R:UV:X:b:ce:f:h:imno:p:r:q:tvx"
_NAME_LIMIT = 200  # characters of a full name
_ENVID_LIMIT = 100
_NOTIFY = frozenset({"SUCCESS", "FAILURE", "DELAY"})
# The modes that -b, -q and -I choose, as error messages call them.
_MODES = {
    "d": "daemon mode",
    "f": "flush queue mode",
    "h": "host status mode",
    "H": "host status mode",
    "i": "alias initialization mode",
    "m": "delivery mode",
    "p": "display queue mode",
}


@define
class Wish:
    """What the options ask for."""

    mode: str = "m"  # of _MODES
    sender: str | None = None
    full_name: str = ""
    dot_ends: bool = True
    from_header: bool = False  # -t
    notify: frozenset[str] = frozenset()
    ret: str = ""
    envid: str = ""
    flush_site: str = ""  # -qR
    flush_id: str = ""  # -qI
    is_interval: bool = False  # -q with a time: how often to flush, which is none of our affair
    is_reported: bool = False  # -v


def sendmail(call: Call) -> int:
    """The command. Raises Fatal."""
    wish = Wish(mode="p" if call.name == "mailq" else "m")
    usage = Fatal(f"usage: {call.name} [options]", EX_TEMPFAIL)
    # Postfix reads its options twice, and so complains twice.
    for letter, value in call.options(_LETTERS, usage, ("-q", "-XV"), config="C", complaints=2):
        _take(call, wish, letter, value)
    if wish.mode != "m":
        for option, is_given in (
            ("-t", wish.from_header),
            ("-qR", wish.flush_site),
            ("-qI", wish.flush_id),
        ):
            if is_given:
                raise Fatal(f"{option} can be used only in delivery mode", EX_TEMPFAIL)
    if wish.is_interval:
        return 0
    if wish.mode == "m" and not (wish.flush_site or wish.flush_id):
        return _submit(call, wish)
    return _look_at_queue(call, wish)


def _take(call: Call, wish: Wish, letter: str, value: str) -> None:
    """Note one option. Raises Fatal for what cannot be done here."""
    match letter:
        case "n":
            raise _fatal("-n option not supported")
        case "-XV":
            raise _fatal("unsupported: -XV")
        case "X":
            raise _fatal(f"unsupported: -X{value[:1]}")
        case "B" if value not in ("7BIT", "8BITMIME"):
            raise _fatal("-B option needs 8BITMIME or 7BIT")
        case "F":
            wish.full_name = value
        case "f" | "r":
            wish.sender = value
        case "t":
            wish.from_header = True
        case "v":
            wish.is_reported = True
        case "I":
            wish.mode = "i"
        case "-q":
            wish.mode = "f"
        case "i":
            wish.dot_ends = False
        case "o" if value == "i":
            wish.dot_ends = False
        case "b":
            if value[:1] not in _MODES or value[:1] == "f":
                raise _fatal(f"unsupported: -b{value[:1]}")
            wish.mode = value[:1]
        case "q":
            _take_flush(wish, value)
        case "N" | "R" | "V":
            _take_report_wish(call, wish, letter, value)


def _take_flush(wish: Wish, value: str) -> None:
    if value[:1].isdecimal():
        wish.is_interval = True
    elif value[:1] == "R":
        wish.flush_site = value[1:]
        if not wish.flush_site:
            raise _fatal("specify: -qRsitename")
    elif value[:1] == "I":
        wish.flush_id = value[1:]
        if not wish.flush_id:
            raise _fatal("specify: -qIqueueid")
    else:
        raise _fatal(f"-q{value[:1]} is not implemented")


def _take_report_wish(call: Call, wish: Wish, letter: str, value: str) -> None:
    """-N, -R and -V, which say what reports are wanted (RFC 3461)."""
    words = [word.strip().upper() for word in value.split(",")]
    if letter == "N":
        unknown = [word for word in words if word not in {*_NOTIFY, "NEVER"}]
        if unknown or ("NEVER" in words and len(words) > 1):
            bad = unknown[0].lower() if unknown else "never"
            call.warn(f'unknown DSN NOTIFY command value "{bad}" in "{value}"')
            call.warn("bad -N option value -- ignored")
        else:
            wish.notify = frozenset(words)
    elif letter == "R" and words[0] in ("HDRS", "FULL"):
        wish.ret = words[0]
    elif letter == "V":
        if len(value) > _ENVID_LIMIT:
            call.warn("too long -V option value -- ignored")
        elif not (value.isascii() and value.isprintable()):
            call.warn("bad syntax in -V option value -- ignored")
        else:
            wish.envid = value


def _look_at_queue(call: Call, wish: Wish) -> int:
    """What the modes do that hand in no mail; most are done by `postqueue`."""
    if call.arguments:
        mode = "flush site" if wish.flush_site else "flush queue_id" if wish.flush_id else ""
        raise _fatal(f"{mode or _MODES[wish.mode]} requires no recipient")
    from m365gw.cli.postfix import postqueue

    call.name = "postqueue"  # which is what Postfix runs, and what errors are said by
    if wish.flush_site:
        return postqueue.flush_site(call, wish.flush_site)
    if wish.flush_id:
        return postqueue.flush_one(call, wish.flush_id)
    if wish.mode == "f":
        return postqueue.flush(call)
    if wish.mode == "p":
        return postqueue.list_queue(call)
    if wish.mode == "d":
        raise _fatal("daemon mode is not supported: the service is started as twistd -n m365gw")
    return 0  # aliases and host status: there are none


def _submit(call: Call, wish: Wish) -> int:
    """Take one message from standard input. Raises Fatal."""
    uid = os.getuid()
    maildrop = call.place("maildrop_dir")
    notice = read_notice(maildrop)
    notice.check(uid)
    try:
        sender = _sender(wish.sender)
        recipients = [each for given in call.arguments for each in addresses(given)]
        label = f"{user_name(uid) if sender is None else sender}({uid})"
        content = _content(call, wish, label, notice.message_size_limit)
        if wish.from_header:
            recipients += header_recipients(content)
    except BadAddresses as error:
        raise _fatal(str(error)) from None
    if not recipients:
        raise _fatal(
            f"{label}: No recipient addresses found in message header"
            if wish.from_header
            else f"{label}: Recipient addresses must be specified on the command line or via the"
            " -t option"
        )
    dropped = Dropped(
        sender=sender,
        recipients=tuple(recipients),
        full_name=_full_name(wish.full_name, uid),
        eight_bit=not content.isascii(),
        notify=wish.notify or (_NOTIFY if wish.is_reported else frozenset()),
        ret=wish.ret,
        envid=wish.envid,
    )
    try:
        drop(maildrop, render(dropped, content))
    except NotDropped as error:
        raise _fatal(f"{label}: {error}") from None
    if wish.is_reported:
        to = user_name(uid) if sender is None else sender
        call.stdout.write(f"Mail Delivery Status Report will be mailed to <{to}>.\n".encode())
    return 0


def _sender(given: str | None) -> str | None:
    """The envelope sender that -f names: None for none, "" for the null sender."""
    if given is None:
        return None
    found = addresses(given) if given.strip() not in ("", "<>") else [""]
    if len(found) != 1:
        raise BadAddresses(f"-f option specified malformed sender: {given}")
    return found[0]


def _content(call: Call, wish: Wish, label: str, limit: int) -> bytes:
    """The message, with the line ends of SMTP. Raises Fatal."""
    content = bytearray()
    lines = iter(lambda: call.stdin.readline(limit), b"")
    for line in content_of(lines, dot_ends=wish.dot_ends):
        content += line
        if len(content) > limit:
            raise _fatal(f"{label}: message file too big")
    if b"\0" in content:
        words = f"{label}: the message holds a NUL, which mail cannot carry"
        raise Fatal(words, EX_DATAERR)
    return bytes(content)


def _full_name(given: str, uid: int) -> str:
    """What -F or the variable NAME say, else what the system knows of the user; cleaned."""
    name = given or os.environ.get("NAME", "")
    if not name:
        with suppress(KeyError):
            found = pwd.getpwuid(uid)
            name = found.pw_gecos.partition(",")[0].replace("&", found.pw_name.capitalize())
    clean = CONTROL.sub("?", name).encode("utf-8", "replace").decode()
    return "".join(letter if letter.isprintable() else "?" for letter in clean)[:_NAME_LIMIT]


def _fatal(words: str) -> Fatal:
    return Fatal(words, EX_TEMPFAIL)
