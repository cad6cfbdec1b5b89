"""Training of a segmenter by patch contrast."""
