"""Architectures that see gestures."""
