"""Nouns and pure rules. Standard library only; knows no other room."""
