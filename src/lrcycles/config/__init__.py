"""Which configuration is this, is it whole, and does it make sense?"""
