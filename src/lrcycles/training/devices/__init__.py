"""How is a device set up, and how does data reach it? One module for each backend."""
