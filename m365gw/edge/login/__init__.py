"""Who is who: AUTH, its passwords, and what is done about those who guess."""
