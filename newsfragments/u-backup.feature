`m365gw backup` writes everything but the mail into one file, sealed with a passphrase; `m365gw restore` puts it back, here or on another machine, into SQLite or PostgreSQL (docs/backup.md).
