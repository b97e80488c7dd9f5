"""Explanations of a prediction: Grad-CAM of a class at a layer, and attention maps of networks that have them."""
