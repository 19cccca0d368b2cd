"""Rounds: finding them, planning them, running them on this machine."""
