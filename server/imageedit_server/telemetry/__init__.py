"""What the service shows of itself: metrics, log lines, the lag of its loop, and whether it wants traffic."""
