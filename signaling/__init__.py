"""A WebSocket signaling server and its client; knows nothing of atmosphere."""
