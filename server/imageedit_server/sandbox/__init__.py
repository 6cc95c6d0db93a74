"""The picture workers: processes that may do nothing but turn bytes into bytes."""
