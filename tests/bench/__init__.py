"""The measurements of docs/PERFORMANCE.md, side by side with aiortc in one run: `python -m tests.bench`."""
