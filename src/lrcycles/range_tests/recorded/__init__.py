"""Which range test does a file of another tool hold?"""
