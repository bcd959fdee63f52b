"""What the operators and the sensor share."""
