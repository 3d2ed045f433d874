"""Meeting through an MQTT broker instead of a signaling server."""
