"""Cleaned fields back to the channels: drafted as differences, approved by a person, sent once, undoable.

`drafting` finds what differs, `deciding` is what people say to it, `sending` is the workers' part.
"""
