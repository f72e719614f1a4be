"""One message handed to Microsoft Graph's sendMail, in base64, with one request.

Just before the last octets of the request go its recipients are marked as uncertain on disk. 202 is
the only success. The answer is for all recipients alike: Graph takes a message for all or for none.

Failures become answers, each with its reaction: PENDING when Graph cannot have taken the message,
UNCERTAIN when it may have (no answer after all of it was sent; 502, 504; a 2xx that is not 202).
What reading or marking the message raises passes through, as does cancellation; the connection is
cut then. The token stands in no log or text.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, Final

from attrs import define, field
from treq import collect
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, TimeoutError
from twisted.web.client import Agent
from twisted.web.http_headers import Headers

from m365gw.microsoft.graph import LOST, GraphAnswer
from m365gw.microsoft.reactions import Reaction
from m365gw.microsoft.replies import Phase
from m365gw.relay.exit.dialer import cancellable
from m365gw.relay.exit.graph_body import Base64Body
from m365gw.relay.exit.graph_fit import Carriage
from m365gw.relay.exit.graph_line import Line
from m365gw.relay.exit.lost import cause
from m365gw.relay.exit.transaction import Answer, Transaction
from m365gw.smtp.replies import Reply
from m365gw.smtp.verdict import Outcome

ANSWER_TIMEOUT: Final = 300.0  # seconds for the whole request until the answer begins
ERROR_TIMEOUT: Final = 30.0  # for the rest of an answer
ERROR_LIMIT: Final = 65536  # octets of an answer that are read


@define(kw_only=True, eq=False)
class GraphSession:
    """A connection that stands, and a token: good for the message in `carriage` alone."""

    line: Line
    relay: str  # "graph.microsoft.com[192.0.2.1]:443", for logs
    url: str  # of sendMail for the mailbox
    token: str = field(repr=False)
    carriage: Carriage
    reactor: Any
    trace: Callable[[str], object] | None
    offers_dsn: bool = False  # Graph takes no wishes for reports, so we answer for them
    smtp_may: bool = field(default=False, init=False)  # it was refused, and SMTP may take it

    async def deliver(self, transaction: Transaction) -> list[Answer]:
        """Carry the transaction; one answer for each recipient, in their order."""
        body = Base64Body(self.carriage, transaction)
        request_id = str(uuid.uuid4())
        said: GraphAnswer | Exception
        try:
            said = await self._ask(body, request_id)
        except CancelledError:
            raise
        except Exception as problem:
            said = problem
        finally:
            body.stopProducing()
            self.line.abort()
        await body.ended()  # else a recipient might be marked after its outcome was noted
        if body.problem is not None:
            raise body.problem
        if isinstance(said, GraphAnswer):
            self.smtp_may = said.row.smtp_may
            self._trace(f"S: {said.reply.text}")
            return _answers(transaction, _outcome(said), said.reply, said.reaction, said.phase)
        reply = Reply(0, "", f"Microsoft Graph: {_words(said)} [client-request-id {request_id}]")
        self._trace(f"S: {reply.text}")
        outcome = Outcome.UNCERTAIN if body.is_whole else Outcome.PENDING
        return _answers(transaction, outcome, reply, LOST, Phase.DATA)

    async def _ask(self, body: Base64Body, request_id: str) -> GraphAnswer:
        self._trace(f"C: POST {self.url} ({body.length} octets) [client-request-id {request_id}]")
        agent: Any = Agent  # has no types here
        client = HTTPClient(agent.usingEndpointFactory(self.reactor, self.line))
        asking = client.post(
            self.url,
            headers=Headers(
                {
                    "Authorization": [f"Bearer {self.token}"],
                    "Content-Type": ["text/plain"],
                    "client-request-id": [request_id],
                }
            ),
            data=body,
            allow_redirects=False,  # whoever is named there would get the token
            unbuffered=True,
            reactor=self.reactor,
        )
        response = await cancellable(asking).addTimeout(ANSWER_TIMEOUT, self.reactor)
        headers = {
            name.decode("latin-1").lower(): values[0].decode("latin-1")
            for name, values in response.headers.getAllRawHeaders()
        }
        return GraphAnswer.of(response.code, headers, await self._content(response))

    async def _content(self, response: Any) -> bytes:
        """What stands in an answer, as far as it comes: its status has decided already."""
        content = bytearray()
        try:
            reading = collect(
                response, lambda data: content.extend(data[: ERROR_LIMIT - len(content)])
            )
            await cancellable(reading).addTimeout(ERROR_TIMEOUT, self.reactor)
        except CancelledError:
            raise
        except Exception as problem:
            self._trace(f"S: the answer was cut off: {_words(problem)}")
        return bytes(content)

    def _trace(self, words: str) -> None:
        if self.trace is not None:
            self.trace(words)


def _answers(
    transaction: Transaction, outcome: Outcome, reply: Reply, reaction: Reaction, phase: Phase
) -> list[Answer]:
    return [Answer(place, outcome, reply, phase, reaction) for place, _ in transaction.recipients]


def _outcome(said: GraphAnswer) -> Outcome:
    if said.is_ok:
        return Outcome.DELIVERED
    if said.is_unsure:
        return Outcome.UNCERTAIN
    return Outcome.FAILED if said.reaction.may_bounce else Outcome.PENDING


def _words(problem: BaseException) -> str:
    """Why there is no answer. Twisted's client wraps the causes."""
    while reasons := getattr(problem, "reasons", None):
        problem = reasons[0].value
    if isinstance(problem, TimeoutError):
        return f"no answer within {ANSWER_TIMEOUT:g} seconds"
    return cause(problem)
