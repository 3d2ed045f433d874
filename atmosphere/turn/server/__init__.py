"""The TURN server (RFC 8656): a pure core, and the sockets around it in `service`."""
