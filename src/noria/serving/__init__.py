"""Local engines: llama.cpp as supervised processes."""
