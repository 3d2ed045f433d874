"""The node's sockets and addresses (floor 0)."""
