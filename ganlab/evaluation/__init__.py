"""What generated images are worth: features, distances to real images, protocols."""
