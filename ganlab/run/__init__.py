"""One run: its folder, its networks, its course from start to end."""
