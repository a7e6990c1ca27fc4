"""What `./dev` runs: servers of our own where none are named, every process of the product, and their orderly end."""
