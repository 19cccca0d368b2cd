"""Rounds trained by earlier scripts: read unchanged, written as stillhouse's records."""
