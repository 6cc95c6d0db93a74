"""The HTTP door: health, metrics and the callbacks of vendors. Nobody is asked for a key here."""
