"""From a confidence per pixel to nuclei: masks and outlines of regions of any size."""
