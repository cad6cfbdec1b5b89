"""What networks look at and how alike their layers are: Grad-CAM, CKA and their figures."""
