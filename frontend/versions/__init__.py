"""What can be done with versions, and the list of what was done."""
