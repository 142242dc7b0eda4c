"""``keras.preprocessing``, the part that prepares sequences."""
