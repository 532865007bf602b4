"""Architectures that hear words."""
