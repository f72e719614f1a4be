"""The Postfix-compatible commands: mailq, postqueue, postsuper, postcat, qshape and sendmail.

Scripts and monitoring know them, so options, output and exit codes are Postfix's, octet for octet.
Where they have to differ, `docs/postfix-commands.md` says where and why; tests hold the rest
against the real thing.
"""
