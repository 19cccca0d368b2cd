"""Imports from elsewhere and exports."""
