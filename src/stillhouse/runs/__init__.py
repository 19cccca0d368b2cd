"""Run folders: plain files with one writer per run; the reader derives the state."""
