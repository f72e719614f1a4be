`m365gw trace` shows the protocol as it is spoken, with clients and with Microsoft: live, by address,
login, mailbox or listener, without passwords, tokens or anything of the messages.
