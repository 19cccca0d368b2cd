"""Rounds that earlier scripts trained: read as they lie, written as stillhouse's records."""
