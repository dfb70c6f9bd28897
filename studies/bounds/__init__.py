"""Which rule for choosing bounds from a range test comes closest to the best rates there are?"""
