A gateway without any configuration takes no mail and shows a set-up in the browser, opened by a
one-time password in its log: operator, ports and certificate, mailbox with script or sign-in, who may
send, and a test mail followed to Microsoft's answer (`docs/first-steps.md`). The console has pages for
listeners, TLS certificates and settings with the origin of each value; the file is read anew by a
button.
