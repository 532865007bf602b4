"""Offline replay of bags, scenarios and verdicts."""
