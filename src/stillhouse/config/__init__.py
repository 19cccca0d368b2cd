"""The round file: reading, validation, expansion, comparison."""
