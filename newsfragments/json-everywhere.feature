`m365gw backup`, `restore`, `keys rotate` and `mailbox signin` have `--json`; a passphrase nobody gives is wrong use (2), and the option that reads it from a file is named.
