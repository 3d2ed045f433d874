"""The DTLS handshake and records (floor 3)."""
