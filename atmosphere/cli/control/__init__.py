"""The control socket: how the commands talk to the running node of their home."""
