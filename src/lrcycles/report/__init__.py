"""How is the evidence put into words, tables and figures?"""
