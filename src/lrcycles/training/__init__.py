"""How is a cell trained, fast and reproducibly? Needs NumPy, Keras and a backend only."""
