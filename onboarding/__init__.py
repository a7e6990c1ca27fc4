"""Turns a messy shop into a clean, mapped, rehearsed, live one."""
