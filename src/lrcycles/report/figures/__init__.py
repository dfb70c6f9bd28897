"""How do the figures of the report look?"""
