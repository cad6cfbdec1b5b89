"""Any rectangle of a slide at any µm per pixel, straight from level 0, strip by strip."""
