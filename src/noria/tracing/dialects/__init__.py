"""How instrumentation libraries name what a model call is made of: one table a dialect, and the driver that reads them."""
