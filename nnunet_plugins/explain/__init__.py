"""What a network looks at: Grad-CAM of a class and layer, and the attention maps of networks that have them."""
