"""The training child: a program of its own, the only one that imports TensorFlow. Nothing imports it."""
