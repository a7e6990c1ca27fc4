"""The truth about goods and stock. Knows no channel."""
