"""Who may send, as whom, to whom and how much; and how to ask in advance."""
