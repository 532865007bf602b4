"""Layouts and loaders of recordings, and how people are split."""
