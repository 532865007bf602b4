"""The HTML report of experiments."""
