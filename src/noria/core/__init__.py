"""The kernel: records, ids, clock, errors, settings and the slice manifest. No I/O, and nothing of Noria is below it."""
