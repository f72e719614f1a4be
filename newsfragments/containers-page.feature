`docs/containers.md` tells how the gateway is run with Docker, Compose and Kubernetes; each of its Docker commands is given to a real Docker by a test.
