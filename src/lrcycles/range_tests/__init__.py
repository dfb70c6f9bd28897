"""How do loss and accuracy change as the learning rate rises?"""
