"""The round file: reading, checking, expanding, comparing."""
