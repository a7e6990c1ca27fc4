"""Connects, receives, publishes, reconciles: what each channel is told and believes."""
