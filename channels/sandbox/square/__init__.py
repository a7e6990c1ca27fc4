"""Stand-in for Square."""
