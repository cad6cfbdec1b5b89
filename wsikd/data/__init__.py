"""From regions on disk to tensors: items, views, augmentation."""
