"""How cheap can a range test be, if its bounds stay as stable as they were?"""
