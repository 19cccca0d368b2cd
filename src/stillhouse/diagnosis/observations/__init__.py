"""Key observations: sentences with numbers that rules find in a round's records."""
