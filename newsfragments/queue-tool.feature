`m365gw queue list` and `queue show` look at the spool, with the service running or stopped; `mailq` output is the same as Postfix's.
