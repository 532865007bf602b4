"""Posterior smoothing and the disambiguation policy."""
