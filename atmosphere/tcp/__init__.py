"""TCP (floor 0): one listening port for TURN, TLS and HTTP."""
