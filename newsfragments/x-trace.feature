`m365gw trace` shows the protocol as it is spoken, with clients and with Microsoft, without passwords, tokens or anything of the messages.
