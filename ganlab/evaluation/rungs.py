"""The rungs of a ladder of known faults, by name. This module imports nothing, so that any other can import it."""

Rungs = dict[str, float]
"""The value of a metric on each rung."""

UNTOUCHED = "real images"
GRAIN = ("white noise of 2 grey levels", "lattice grain of 2 grey levels")
FAULTS = ("blur of 3x3", "one image in five malformed", "one image in a hundred, repeated")
WITHOUT = "without class "  # and its label
NOISE = "deviation over draws"  # the standard deviation over draws of images, not a rung
DRAWS = 3  # of images for each rung
