"""What is said in advance is what happens: each answer is held against a session."""

from __future__ import annotations

from base64 import b64encode

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.limits import Limits
from m365gw.config.local import Local
from m365gw.config.settings import Client, Listener, Network, Settings
from m365gw.directory import passwords
from m365gw.edge.admission.admission import ip_address
from m365gw.edge.admission.explanation import Explanation, Question, explain, explain_local
from m365gw.edge.local.local_users import LocalUser
from tests.edge.conversation import Gateway

PASSWORD, HASH = passwords.generate()
ERP = Client(
    login="erp",
    password_hash=HASH,
    senders=("erp@example.com", "<>"),
    mailbox="relay@example.com",
    recipients=("*@example.com",),
    realms=("CONTOSO",),
    networks=("192.0.2.0/24",),
)
SHOP = Network(
    cidr="192.0.2.0/24",
    senders=("*@example.com",),
    mailbox="relay@example.com",
    default_from="shop@example.com",
    foreign_sender="rewrite",
    foreign_from="rewrite",
)
LOGINS = Listener(name="logins", endpoint="tcp:0", tls="none", quirks=("plaintext-auth",))
TRUSTING = Listener(name="net", endpoint="tcp:0", tls="none", auth="off", networks=(SHOP.cidr,))
MENDING = evolve(TRUSTING, repair=("from", "display-name"))


class AsInSessionsTests(SynchronousTestCase):
    def asked(self, question: Question, listener: Listener, network: Network = SHOP) -> Explanation:
        """The explanation, which must be what a session says and stores."""
        settings = Settings(listener=(listener,), client=(ERP,), network=(network,))
        said = explain(settings, question, listener)
        gateway = Gateway(
            self,
            listener=listener,
            clients=(ERP,),
            networks=(network,),
            limits=Limits(minimal_free_space=0),
        )
        refusals = list(self.refusals(gateway, question))
        self.assertEqual([str(one.reply) for one in said.refusals], refusals)
        if said.is_allowed:
            ((envelope, octets),) = gateway.messages()
            self.assertEqual(envelope.sender, said.sender)
            self.assertIn(f"\r\nFrom: {said.header_from}\r\n".encode(), b"\r\n" + octets)
        return said

    def refusals(self, gateway: Gateway, question: Question) -> list[str]:
        talk = gateway.connect(str(question.address))
        talk.say("EHLO x")
        said = []
        if question.login:
            plain = b64encode(f"\0{question.login}\0{PASSWORD}".encode()).decode()
            said = talk.say(f"AUTH PLAIN {plain}")
            gateway.clock.advance(60)
            said += talk.heard()
        if not question.login or said[-1].startswith("235"):
            said = talk.say(f"MAIL FROM:<{question.sender}>")
        if said[-1].startswith("250"):
            said += talk.say(*(f"RCPT TO:<{each}>" for each in question.recipients))
        if said[-1].startswith("250"):
            talk.say("DATA")
            value = question.header_from or f"<{question.sender}>"
            said += talk.say(f"From: {value}", "", "x", ".")
        return [line for line in said if line[0] in "45"]

    def test_accepted(self) -> None:
        """The rule, the mailbox, and what is worth knowing."""
        address = ip_address("192.0.2.7")
        question = Question("erp@example.com", ("a@example.com",), None, "CONTOSO\\erp", address)
        said = self.asked(question, LOGINS)
        assert said.rule is not None
        self.assertEqual((said.rule.name, said.rule.mailbox), ('login "erp"', "relay@example.com"))
        self.assertIn('"Send As" for <erp@example.com>', " ".join(said.notes))

    def test_refused_at_each_step(self) -> None:
        """By the words the client would get."""
        here, there = ip_address("192.0.2.7"), ip_address("203.0.113.9")
        keen = evolve(SHOP, foreign_sender="refuse", foreign_from="refuse")
        to = ("a@example.com",)
        for at, listener, question in (
            ("AUTH", LOGINS, Question("erp@example.com", to, None, "who", here)),
            ("AUTH", LOGINS, Question("erp@example.com", to, None, "erp", there)),
            ("MAIL FROM", LOGINS, Question("erp@example.com", to, None, "", here)),
            ("MAIL FROM", LOGINS, Question("a@example.com", to, None, "erp", here)),
            ("MAIL FROM", TRUSTING, Question("a@example.com", to, None, "", there)),
            ("MAIL FROM", TRUSTING, Question("a@example.org", to, None, "", here)),
            ("MAIL FROM", TRUSTING, Question("a@b c", to, None, "", here)),
            ("RCPT TO <b@c.d>", LOGINS, Question("erp@example.com", ("b@c.d",), None, "erp", here)),
            ("the end of the message", TRUSTING, Question("a@example.com", to, "a@b.c", "", here)),
            ("the end of the message", MENDING, Question("a@example.com", to, "a@b.c", "", here)),
        ):
            with self.subTest(at=at, question=question):
                said = self.asked(question, listener, keen)
                self.assertEqual([one.at for one in said.refusals], [at])

    def test_rewritten(self) -> None:
        """Sender and From as they would leave."""
        here = ip_address("192.0.2.7")
        said = self.asked(Question("a@b.c", ("x@y.z",), "Boss <boss@b.c>", "", here), TRUSTING)
        self.assertEqual(said.header_from, "Boss <shop@example.com>")
        self.assertEqual(said.changes, ["sender was <a@b.c>", "foreign-from"])
        said = self.asked(Question("a@example.com", ("x@y.z",), "Printer 3", "", here), MENDING)
        self.assertEqual(said.header_from, "Printer 3 <a@example.com>")

    def test_a_login_where_none_is_taken(self) -> None:
        """A listener without AUTH, or without TLS."""
        question = Question("erp@example.com", ("a@example.com",), None, "erp")
        for listener, code in ((TRUSTING, "502"), (evolve(LOGINS, quirks=()), "538")):
            said = explain(Settings(client=(ERP,)), question, listener)
            self.assertEqual([str(one.reply)[:3] for one in said.refusals], [code])

    def test_the_null_sender_and_rates_are_worth_a_note(self) -> None:
        """What Exchange would make of it, and what only the moment decides."""
        settings = Settings(client=(evolve(ERP, messages_per_hour=7),))
        said = explain(settings, Question("", ("a@example.com",), None, "erp"), LOGINS)
        notes = " ".join(said.notes)
        for words in ("takes no null sender", "There is no From", "At most 7 messages in any hour"):
            self.assertIn(words, notes)

    def test_local_users(self) -> None:
        """By the rule of a user, and without one."""
        rule = Local(user="www-data", senders=("shop@example.com",), mailbox="relay@example.com")
        question = Question("shop@example.com", ("a@example.com",), "root (Cron Daemon)")
        said = explain_local(LocalUser(33, "www-data", rule), question)
        self.assertEqual(said.header_from, "root <shop@example.com>")
        denied = explain_local(LocalUser(34, "backup", None), question)
        self.assertIn("No rule says what the local user backup", str(denied.refusals[0].reply))
