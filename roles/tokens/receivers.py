"""What signing in and out does to tokens."""
