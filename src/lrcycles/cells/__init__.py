"""What is one training, has it been done before, and what did it leave?"""
