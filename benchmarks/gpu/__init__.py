"""What a GPU can do for a round: checks and ratios on the machine at hand (`make gpu`)."""
