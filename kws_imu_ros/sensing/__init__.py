"""What every sensor's source shares."""
