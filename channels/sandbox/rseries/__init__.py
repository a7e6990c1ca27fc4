"""Stand-in for Lightspeed Retail (R-Series)."""
