"""Which learning rate belongs to which step?"""
