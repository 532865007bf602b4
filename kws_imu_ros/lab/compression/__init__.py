"""Pruning, quantization, factorization, folding and distillation."""
