"""Offline training: data, architectures, compression, evaluation and the model registry."""
