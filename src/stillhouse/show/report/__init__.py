"""The report of a round: one document, written as a page and as Markdown."""
