"""Several signaling servers as one, joined by NATS."""
