"""The papers' methods, one file each, and the controls beside them."""
