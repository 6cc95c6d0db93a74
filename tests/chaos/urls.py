"""URLs that are never followed, whoever names them (PROMISES §3)."""

REFUSED_URLS = (
    "http://169.254.169.254/latest/meta-data/",
    "https://169.254.169.254/latest/meta-data/",
    "https://10.0.0.1/x.png",
    "https://127.0.0.1:1/x.png",
    "https://[::1]/x.png",
    "https://localhost/x.png",
    "https://metadata.google.internal/",
    "http://example.com/x.png",
    "https://user:secret@example.com/x.png",
    "https://2130706433/",
)
"""What a vendor's answer may point at."""
