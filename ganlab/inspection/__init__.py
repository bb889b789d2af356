"""What `ganlab.inspect` shows: views of generators or images, in the terminal and as one picture."""

IMAGES, DRAWS = 256, 32  # generated images of a view, and draws of the operator's kernel
