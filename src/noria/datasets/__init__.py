"""Import, clean, deduplicate, version and browse examples."""
