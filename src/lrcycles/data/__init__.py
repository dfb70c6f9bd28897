"""Which images are the true ones, and how are they split?"""
