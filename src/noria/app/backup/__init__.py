"""`noria backup` and `noria restore`: a whole installation in a folder or a tar file, taken while it runs."""
