"""The probes: one module per family. Every Task class in a module here is registered under its name."""
