"""A trained generator in formats that other software opens, each checked against the original."""
