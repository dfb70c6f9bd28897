"""What do averages of the weights reach, beside the trained weights?"""
