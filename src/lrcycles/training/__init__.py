"""How is a cell trained, fast and the same every time? Needs NumPy, Keras and a backend only."""
