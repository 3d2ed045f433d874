"""TCP: one port for several protocols, TLS, and ways through proxies (floor 0)."""
