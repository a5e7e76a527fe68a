"""The parts of the My digits page."""
