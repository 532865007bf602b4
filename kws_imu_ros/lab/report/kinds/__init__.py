"""What each kind of result is drawn as, one file a kind."""
