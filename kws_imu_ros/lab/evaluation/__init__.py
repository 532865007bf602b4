"""Measuring models on recordings, without TensorFlow."""
