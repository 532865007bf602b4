"""Moves on beats: read, checked, edited, composed by voice, and played."""
