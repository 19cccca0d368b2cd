"""Figures: one style, one kind of figure to a file, each function returns a matplotlib Figure."""
