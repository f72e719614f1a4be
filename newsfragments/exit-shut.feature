A mailbox whose mail leaves by its fallback because SMTP is shut for it opens an incident, which says who can open SMTP again and closes when mail has left by it.
