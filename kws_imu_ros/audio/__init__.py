"""Audio blocks, the log-mel front end and audio sources; plain Python and numpy."""
