"""Random changes of what is learnt from: whole regions, pairs of patches, colour."""
