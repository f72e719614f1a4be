"""The documents: commands are run, blocks are read by what they are for, links lead somewhere."""
