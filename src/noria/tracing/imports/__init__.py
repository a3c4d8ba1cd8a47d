"""Traces that another tool has exported: files in, raw spans and scores out, told as that tool's own clients would have sent them."""
