"""What nodes share."""
