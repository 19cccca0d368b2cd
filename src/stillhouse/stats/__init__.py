"""What the numbers say: means, standard deviations, tables."""
