"""A file or a channel's catalog on its way into the shop: uploaded, staged, looked at, applied, undone.

    uploads   bytes in, in pieces of 1 MB, and a file object over the pieces
    staging   rows read, matched, compared; what the file contradicts in itself
    applying  the real thing, chunk by chunk; the same code rehearses, rolled back
    undoing   the way back, each row in exactly one bucket
    working   who does it when: claims, slices, cancelling

Everything is a row in PostgreSQL before it is done: a worker killed at any point is taken up where it stopped.
"""
