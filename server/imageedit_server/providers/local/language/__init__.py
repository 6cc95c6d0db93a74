"""Instructions in English and Chinese, read without a language model: much data, little grammar."""
