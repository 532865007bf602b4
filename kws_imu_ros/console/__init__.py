"""What long work says on a terminal."""
