"""The everyday public API over the floors."""
