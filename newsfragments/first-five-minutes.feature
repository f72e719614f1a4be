A page for the first five minutes, and a picture of the architecture; each command and block of the documentation is run or read by a test.
