"""Process plumbing that is neither noun nor rule: clock, files, threads, failpoints, listening, workers."""
