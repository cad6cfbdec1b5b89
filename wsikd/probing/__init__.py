"""What can be read from frozen encoders: candidates, classifiers, labelled patches."""
