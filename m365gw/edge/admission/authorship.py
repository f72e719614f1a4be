"""Whether a message may say that it is from whom its From and Sender fields name.

Those are what Microsoft and people see. A rule (`foreign_from`) refuses a message that is from
somebody else than it lists, or has it rewritten, or does not ask. Every address must be listed;
what cannot be read counts as foreign. A message without any From names nobody and may pass.

A header that passes unchanged is judged from its scan (`foreign`), one that is mended on the way
by its fields (`settle`). A signed From is never changed: it is refused where it would have been.

Failures: Refused with 550 5.7.1, and words that say what to change.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from m365gw.edge.admission.rules import Rule
from m365gw.smtp.headers import HeaderScan
from m365gw.smtp.repair.authors import Authors, authors
from m365gw.smtp.repair.from_rewrite import from_added, from_instead, named_in, without
from m365gw.smtp.repair.header_fields import HeaderFields, signed_names
from m365gw.smtp.replies import Refused, Reply

ADDED: Final = "from"  # names of what was done, for the log
REWRITTEN: Final = "foreign-from"
UNSENT: Final = "foreign-sender"
LONGEST_REMEMBERED: Final = 500  # characters of fields whose judgement is remembered

STRAY_FROM: Final = Reply(
    550,
    "5.7.1",
    "Whom the message is from cannot be told: its header is broken off by a line that is no field, "
    "and From or Sender stands behind it. The program that made the message has to be mended",
)


def foreign(rule: Rule, header: HeaderScan) -> Reply | None:
    """Why a message with this header, scanned to its end, may not pass; None when it may."""
    froms, senders = header.values("from"), header.values("sender")
    counts = header.counts
    is_cut = counts.get("from", 0) > len(froms) or counts.get("sender", 0) > len(senders)
    if is_cut or header.is_cut:
        return _refusal(rule, "From", None)
    if sum(map(len, froms)) + sum(map(len, senders)) > LONGEST_REMEMBERED:
        return _judge(rule, tuple(froms), tuple(senders))
    return _remembered(rule, tuple(froms), tuple(senders))


def settle(
    rule: Rule, header: HeaderFields, sender: str, *, may_add: bool
) -> tuple[HeaderFields, list[str], list[str]]:
    """The header with an author the rule allows; what was done, and what was left as it is signed.

    `sender` is that of the envelope, which the rule has allowed; `may_add`: a missing From is added
    even where the rule does not rewrite. Raises Refused.
    """
    done: list[str] = []
    signed = signed_names(header)
    froms = named_in(header, "from")
    is_missing = all(one.is_nobody for one in froms)
    if is_missing and (may_add or rule.rewrites_from) and "from" not in signed:
        address = sender if sender and sender.isascii() else rule.default_from
        header = from_added(header, address)
        done.append(ADDED)
        froms = []
    left = [ADDED] if is_missing and may_add and not done else []
    if not rule.judges_from:
        return header, done, left
    reply = _of_field(rule, "From", froms)
    if reply is not None:
        header = from_instead(_changeable(rule, header, "from", reply, signed), rule.default_from)
        done.append(REWRITTEN)
    reply = _of_field(rule, "Sender", named_in(header, "sender"))
    if reply is not None:
        header = without(_changeable(rule, header, "sender", reply, signed), "sender")
        done.append(UNSENT)
    return header, done, left


def _changeable(
    rule: Rule, header: HeaderFields, name: str, reply: Reply, signed: Iterable[str]
) -> HeaderFields:
    """The header, when this foreign field of it may be changed. Raises Refused with this reply."""
    if not rule.rewrites_from:
        raise Refused(reply)
    if name in signed:
        words = f"{reply.text}. It is not rewritten, as the message is signed (DKIM)"
        raise Refused(Reply(reply.code, reply.status, words))
    return header


def _judge(rule: Rule, froms: Sequence[str], senders: Sequence[str]) -> Reply | None:
    reply = _of_field(rule, "From", [authors(value) for value in froms])
    return reply or _of_field(rule, "Sender", [authors(value) for value in senders])


_remembered = lru_cache(maxsize=4096)(_judge)


def _of_field(rule: Rule, field: str, said: Iterable[Authors]) -> Reply | None:
    """The refusal for what all fields of a name say, or None."""
    for one in said:
        foreigner = next((each for each in one.addresses if not rule.may_be_from(each)), "")
        if foreigner:
            return _refusal(rule, field, foreigner)
        if one.is_nobody or not one.is_readable:
            return _refusal(rule, field, None)
    return None


def _refusal(rule: Rule, field: str, foreigner: str | None) -> Reply:
    if foreigner is None:
        words = (
            f"Whom the message is from cannot be told: its {field} field holds no address, or "
            f"something that cannot be read as one. The program that made it has to be mended"
        )
    else:
        words = (
            f"{rule.name} may not send mail with <{foreigner}> in {field}. Set another one in the "
            f"device or program; or the gateway's operator adds it to senders of {rule.place}"
        )
    if not rule.rewrites_from:
        remedy = 'sets foreign_from = "rewrite"'
        there = "there" if foreigner else f"for {rule.place}"
        joint = ", or" if foreigner else "; or the gateway's operator"
        words += f"{joint} {remedy} {there}"
    return Reply(550, "5.7.1", words)
