"""Connect your machines across any networks with one join code."""
