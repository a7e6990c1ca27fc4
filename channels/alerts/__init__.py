"""Alerts: who is told of which incident, where and when; made from incidents' timelines, delivered at least once."""
