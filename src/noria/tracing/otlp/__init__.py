"""OpenTelemetry's protocol: what comes over the wire, checked, as noria.tracing.otlp.raw has it."""
