"""Moving in from other gateways: their configuration, read into a plan, told line by line, and then done."""
