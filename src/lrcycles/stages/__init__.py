"""How does a stage begin and end, and which cells does it ask for?"""
