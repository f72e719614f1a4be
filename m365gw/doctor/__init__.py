"""What is wrong, said before anybody has to guess: the checks D01 to D18."""
