"""What leaves a hospital, counted."""
