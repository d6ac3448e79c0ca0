"""What Python users call: `nanocore.load`, `nanocore.train`, `nanocore.export`; see docs/python.md."""
