Plain log lines that go to the journal of systemd carry its priority (`journalctl --priority warning`) and leave out time and host, which the journal keeps itself.
