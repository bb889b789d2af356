"""The rungs of a ladder of known faults, by name. The table imports nothing, so that everybody may read it."""

Rungs = dict[str, float]
"""What a metric makes of each rung."""

UNTOUCHED = "real images"
GRAIN = ("white noise of 2 grey levels", "lattice grain of 2 grey levels")
FAULTS = ("blur of 3x3", "one image in five malformed", "one image in a hundred, repeated")
WITHOUT = "without class "  # and its label
NOISE = "deviation over draws"  # the standard deviation over draws of images, not a rung
DRAWS = 3  # of images for each rung
