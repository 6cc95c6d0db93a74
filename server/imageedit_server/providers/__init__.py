"""Vendor words: one adapter per vendor API behind the seam in ``base``, named in ``registry``."""
