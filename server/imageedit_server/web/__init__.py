"""The HTTP door: health now, vendor callbacks and metrics as they arrive."""
