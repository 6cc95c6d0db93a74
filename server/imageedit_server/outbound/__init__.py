"""The only room with httpx: the client of vendor APIs and the guarded fetch."""
