"""What looks wrong in a shop's catalog, what would mend it, and what people decided about it."""
