"""What must hold of settings beyond their types: a file for each table, and `checks` for all."""
