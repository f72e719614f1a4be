Taking a message costs about a quarter less processor time, and delivering one about a tenth less: files are synced by Linux itself, without a thread that waits for them.
