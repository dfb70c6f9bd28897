"""Does cycling fare otherwise if every seed has a range test of its own?"""
