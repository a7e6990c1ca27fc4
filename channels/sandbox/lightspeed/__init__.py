"""Stand-in for Lightspeed Retail (X-Series)."""
