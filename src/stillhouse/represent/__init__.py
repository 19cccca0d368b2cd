"""What trained networks represent: extracted features, and the measures of them."""
