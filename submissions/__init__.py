"""The published cells, one file each. A file `depth_gated.py` is registered as the cell `depth-gated`."""
