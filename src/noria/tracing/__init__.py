"""Spans and scores: from the journals into the store, and found again."""
