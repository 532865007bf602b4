"""The model bundle, its checks, and the int8 interpreter."""
