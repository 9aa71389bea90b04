"""What leaves a hospital, counted and limited."""
