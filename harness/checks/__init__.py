"""Conformance of cells and tasks."""
