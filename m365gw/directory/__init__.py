"""Who is who: secrets at rest, and the people and machines that may use the gateway."""
