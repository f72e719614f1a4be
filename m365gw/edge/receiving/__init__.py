"""One message: its envelope, its content, and how it becomes durable."""
