"""Moving over from other programs: their files are read, and nothing of ours is changed."""
