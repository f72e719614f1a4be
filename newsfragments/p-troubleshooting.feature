`docs/troubleshooting.md` says of every answer of Microsoft that is known what it means and what becomes of mail meanwhile; it is made from the tables the gateway decides by.
