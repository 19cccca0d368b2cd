"""Run folders: plain files, one writer each, whose state is derived by the reader."""
