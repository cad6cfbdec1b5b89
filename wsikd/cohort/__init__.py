"""Who the slides are of, and who may be tested on what: the manifest, its labels and its splits."""
