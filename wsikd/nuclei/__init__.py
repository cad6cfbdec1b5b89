"""Nuclei without labels: the whole of the third paper, from the network to outlines on a slide."""
