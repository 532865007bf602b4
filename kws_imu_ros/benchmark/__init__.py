"""Measurements of speed, latency and memory."""
