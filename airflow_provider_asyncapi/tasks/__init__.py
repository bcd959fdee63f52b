"""Code that the operators and the sensor share."""
