"""Our Postfix-compatible commands against Debian's Postfix: the same messages, the same output.

Standard output, standard error and exit code are compared octet for octet, with queue ids
exchanged. Where the two have to differ stands in `KNOWN`, each with its reason; it is the list of
`docs/postfix-commands.md`.
"""

from __future__ import annotations

import re
import shutil

from twisted.trial.unittest import SynchronousTestCase

from tests.cli.postfix_call import Outputs
from tests.whole.postfix import both, is_here

# What is taken out of the output of both before it is compared.
KNOWN = [
    # How the service is reached, and why not, is ours.
    (r"(accessing queue directly) \(.*\)", r"\1"),
    (r"(?m)^postqueue: warning: connect to public/flush: .*\n", ""),
    # We tell more of a message.
    (r', "next_attempt": .*\}$', "}"),
    # Postfix 3.11 tells what an address was before it was rewritten; we rewrite none.
    (r'"orig_address": "", ', ""),
    # Postfix has folders for deferred mail, ours are named otherwise.
    (r"\b(deferred|hold)/(?:[0-9A-F]/)?(\w+) \*\*\*", r"\1/\2 ***"),
    # When Postfix began to write its file: at times a second after the message had begun to come.
    (r"^((?: 65 )?create_time): .*", r"\1"),
    # Where the content begins in the file; Postfix counts its own flags.
    (r"(?m)^((?: 67 )?message_size: +\d+) .*", r"\1"),
    # What Postfix knows of a client and of its own processes, and we do not.
    (
        r"(?m)^(?: 65 )?named_attribute: (?:log_client_name|log_message_origin|client_name"
        r"|reverse_client_name|server_address|server_port|log_client_port|client_port"
        r"|log_helo_name|helo_name|encoding|message_id)=.*\n",
        "",
    ),
    # One reads its name from the link it was called by, with its folder.
    (r"/usr/sbin/qshape", "qshape"),
]


class GoldenTestCase(SynchronousTestCase):
    """Filled once for all; each test works on a copy."""

    def setUp(self) -> None:
        self.maxDiff = None
        self.both = both().copy()
        self.addCleanup(shutil.rmtree, self.both.folder)
        self.ids = list(self.both.ids.values())

    if not is_here():
        skip = "Postfix's postsuper works for root only"

    def same(self, name: str, *arguments: str, stdin: str = "") -> None:
        """Both say the same."""
        theirs = known(self.both.theirs(name, *arguments, stdin=stdin))
        ours = known(self.both.ours(name, *arguments, stdin=stdin))
        self.assertEqual(ours, theirs, f"{name} {arguments}")


def known(outputs: Outputs) -> Outputs:
    """The outputs without what has to differ; messages in the order of their ids."""
    stdout, stderr = outputs.stdout, outputs.stderr
    for pattern, instead in KNOWN:
        stdout = re.sub(pattern, instead, stdout, flags=re.MULTILINE)
        stderr = re.sub(pattern, instead, stderr, flags=re.MULTILINE)
    return Outputs(outputs.code, _sorted(stdout), stderr)


def _sorted(listing: str) -> str:
    """Within a queue both give messages in the order the disk does."""
    if listing.startswith("{"):
        return "".join(sorted(listing.splitlines(keepends=True)))
    if not listing.startswith("----Queue ID"):
        return listing
    head, _, rest = listing.partition("\n")
    *messages, foot = rest.split("\n\n")
    return "\n\n".join([head, *sorted(messages), foot])


class ListingTests(GoldenTestCase):
    def test_listings(self) -> None:
        """`mailq` and `postqueue -p`, `-j`."""
        for command in (("mailq",), ("sendmail", "-bp"), ("postqueue", "-p"), ("postqueue", "-j")):
            self.same(*command)

    def test_marks(self) -> None:
        """Held and force-expired messages, one and all."""
        self.same("postsuper", "-h", self.ids[0], "-e", self.ids[1], "-h", self.ids[2])
        self.same("postqueue", "-p")
        self.same("postqueue", "-j")

    def test_an_empty_queue(self) -> None:
        """Nothing to list, nothing to do."""
        self.same("postsuper", "-d", "ALL")
        for command in (("mailq",), ("postqueue", "-j"), ("qshape", "deferred"), ("qshape",)):
            self.same(*command)
        for letter in "dhHref":
            self.same("postsuper", f"-{letter}", "ALL")

    def test_wrong_command_lines(self) -> None:
        """Words and exit codes of what cannot be understood."""
        for line in (
            "postqueue", "postqueue -z", "postqueue -p x", "postqueue -p -j", "postqueue -s",
            "postqueue -s a/b", "postqueue -i a/b", "postqueue -f", "postqueue -i 0123456789ABC",
            "mailq x", "mailq -Z", "mailq -t", "sendmail -W", "sendmail -F", "sendmail -bz",
            "sendmail -n a@b.example", "sendmail -B FOO", "sendmail -X/tmp/x", "sendmail -qS",
            "sendmail -qR", "sendmail -qI", "sendmail -q -t", "sendmail -bp x", "sendmail -q x",
            "sendmail -qIx y", "sendmail -bd x", "sendmail -bi x", "sendmail -I", "sendmail -bh",
            "sendmail -q30m", "sendmail -q", "postsuper -z", "postsuper -d", "postsuper -d ALL x",
            "postsuper", "postsuper -s", "postsuper -p x", "postcat -z", "postcat -q a/b",
            "postcat -q nosuch1234",
        ):  # fmt: skip
            self.same(*line.split(" "))


class ActionTests(GoldenTestCase):
    def test_by_id(self) -> None:
        """Each action, in the order of the command line; and what it says when nothing is done."""
        first, second, third, fourth, fifth, _ = self.ids
        for line in (
            ["-h", first],
            ["-h", first],
            ["-H", first, "-h", second, "-e", third],
            ["-e", third],
            ["-f", second],
            ["-f", third, "-f", fourth],
            ["-d", first, "-d", "0123456789ABC", "-d", "", "-d", "a b"],
            ["-d", first, "-h", first, "-H", first],
            ["-r", second, "-h", fifth, "-d", second],
            ["-h", third, "hold"],
            ["-d", third, "hold"],
            ["-d", third, "deferred", "hold"],
        ):
            self.same("postsuper", *line)
        self.same("postqueue", "-j")

    def test_ids_from_standard_input(self) -> None:
        """`-`: one a line, good and bad, also twice."""
        lines = "".join(f"{one}\n" for one in [*self.ids[:3], "bad id", "0123456789ABC", ""])
        self.same("postsuper", "-h", "-", stdin=lines)
        self.same("postsuper", "-H", "-", stdin=lines + self.ids[0])
        self.same("postsuper", "-d", "-", "-h", self.ids[4], stdin=lines + lines)
        self.same("postqueue", "-p")

    def test_all(self) -> None:
        """`ALL`, of one queue and of every queue."""
        for line in (
            "-h ALL deferred", "-h ALL", "-H ALL", "-h ALL", "-e ALL hold", "-f ALL",
            "-r ALL incoming", "-d ALL hold", "-d ALL incoming active", "-d ALL maildrop",
            "-d ALL -h ALL -H ALL -r ALL -e ALL -f ALL",
        ):  # fmt: skip
            self.same("postsuper", *line.split(" "))
        self.same("mailq")

    def test_requeue(self) -> None:
        """It says the same. Postfix has the message in its maildrop then, so that differs."""
        self.same("postsuper", "-r", self.ids[0], "-h", self.ids[1])
        self.same("postsuper", "-r", self.ids[2], "-r", self.ids[1], "deferred", "hold")

    def test_requeue_all(self) -> None:
        """Deferred and held mail."""
        self.same("postsuper", "-h", self.ids[0])
        self.same("postsuper", "-r", "ALL")


class ContentTests(GoldenTestCase):
    def test_postcat(self) -> None:
        """Envelope, header and body, alone and together."""
        for number in (0, 1, 2, 3, 4):
            self.same("postcat", "-q", self.ids[number])
        for options in ("-qb", "-qh", "-qe", "-qbh", "-qd", "-qbd", "-qhe"):
            self.same("postcat", options, self.ids[1], self.ids[2])
        self.same("postcat", "-qbh", self.ids[5])
        self.same("postsuper", "-h", self.ids[0])
        self.same("postcat", "-qe", self.ids[0])


class ShapeTests(GoldenTestCase):
    def test_qshape(self) -> None:
        """Domains, senders, parents, buckets, widths."""
        self.same("postsuper", "-h", self.ids[0])
        for line in (
            "deferred", "deferred hold", "-s deferred", "-p -m 1 deferred", "-b 3 -t 1 deferred",
            "-l -b 5 deferred", "-w 100 deferred", "-w 60 deferred", "-b 20 deferred", "incoming",
            "maildrop", "-m 2 -p -s hold deferred",
        ):  # fmt: skip
            self.same("qshape", *line.split(" "))
