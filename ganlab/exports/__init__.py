"""A trained generator in formats that others open, each checked against the original."""
