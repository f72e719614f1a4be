The console makes and changes logins with several passwords each, networks and their rules; explains
what would become of a message, and allows a sender that was refused lately by a click. Operators,
tokens of the API, sessions, the audit and sealed backups have pages, too.
