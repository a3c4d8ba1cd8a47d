"""The data plane: /v1/* model calls. Small, and it reads no database on a request."""
