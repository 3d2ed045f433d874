"""The running node: in the foreground, in the background, and what the control socket asks of it."""
