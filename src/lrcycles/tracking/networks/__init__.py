"""How does a trained network become an MLflow model that takes pixels?"""
