"""What a session says, word for word, where the words do not depend on the case."""

from __future__ import annotations

from typing import Final

from m365gw.smtp.replies import Reply

OK: Final = Reply(250, "2.0.0", "Ok")
SENDER_OK: Final = Reply(250, "2.1.0", "Ok")
RECIPIENT_OK: Final = Reply(250, "2.1.5", "Ok")
GO_AHEAD: Final = Reply(354, "", "End data with <CR><LF>.<CR><LF>")
BEGIN_TLS: Final = Reply(220, "2.0.0", "Ready to start TLS")
BYE: Final = Reply(221, "2.0.0", "Bye")
CANNOT_VERIFY: Final = Reply(252, "2.5.0", "Cannot verify; send the message and see")
NO_LISTS: Final = Reply(502, "5.5.1", "There are no lists here")
HELP: Final = Reply(
    214,
    "2.0.0",
    "m365gw takes mail for Microsoft 365. Commands: EHLO HELO MAIL RCPT DATA BDAT RSET NOOP\n"
    "VRFY HELP QUIT, and STARTTLS and AUTH where EHLO offers them.\n"
    "Mail that is refused is refused with words that say what to change, and where.",
)

NEEDS_HELLO: Final = Reply(503, "5.5.1", "Send EHLO or HELO first")
NEEDS_MAIL: Final = Reply(503, "5.5.1", "Send MAIL FROM first")
NEEDS_RECIPIENT: Final = Reply(503, "5.5.1", "Send RCPT TO first: there is no valid recipient")
IN_MESSAGE: Final = Reply(503, "5.5.1", "A message is in hand: finish it, or send RSET first")
IN_CHUNKS: Final = Reply(503, "5.5.1", "BDAT has begun: only BDAT or RSET may follow")
TOO_MANY_RECIPIENTS: Final = Reply(452, "4.5.3", "Too many recipients; send the rest separately")

NEEDS_TLS: Final = Reply(530, "5.7.0", "Must issue a STARTTLS command first")
NO_TLS_HERE: Final = Reply(502, "5.5.1", "STARTTLS is not offered here")
NEEDS_TLS_TO_LOG_IN: Final = Reply(
    538, "5.7.11", "Encryption required: a login is taken only inside TLS"
)
NO_LOGINS_HERE: Final = Reply(502, "5.5.1", "AUTH is not offered here")
LOGGED_IN_ALREADY: Final = Reply(503, "5.5.1", "Already authenticated")

FAILED: Final = Reply(451, "4.3.0", "Something went wrong here; try again later")

# These end the session, or do not let it begin.
CANNOT_STORE: Final = Reply(421, "4.3.0", "Mail cannot be stored here at present; try again later")
SLOW_COMMAND: Final = Reply(421, "4.4.2", "Timeout: no command came in time")
SLOW_CONTENT: Final = Reply(421, "4.4.2", "Timeout: the message did not come in time")
STAYED_TOO_LONG: Final = Reply(421, "4.4.2", "Timeout: no login and no message came in time")
TIMEOUTS: Final = (SLOW_COMMAND, SLOW_CONTENT, STAYED_TOO_LONG)
STOPPING: Final = Reply(421, "4.3.2", "The service closes this connection; try again later")
# Last replies to clients that are not in the midst of sending.
UNHURRIED: Final = (BYE, STOPPING, *TIMEOUTS)
STRANGER: Final = Reply(421, "4.7.0", "This server speaks SMTP, and nothing else")
INJECTED: Final = Reply(421, "4.7.0", "Octets came behind STARTTLS before TLS began")
ENOUGH: Final = Reply(421, "4.7.0", "Too many messages in one connection; connect again")
TOO_MANY_ERRORS: Final = Reply(421, "4.7.0", "Too many errors")
TOO_MANY_COMMANDS: Final = Reply(421, "4.7.0", "Too many commands without a message")
