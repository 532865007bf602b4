"""Recipes, augmentation and the training of releases."""
