"""How is any Keras model swept and then restored?"""
