"""How a message is handed to Microsoft: connections, and the words spoken there."""
