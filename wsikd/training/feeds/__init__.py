"""What the loop learns from: batches of views, ready on the device."""
