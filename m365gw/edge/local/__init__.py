"""Mail of programs of this machine, by `sendmail` and the maildrop."""
