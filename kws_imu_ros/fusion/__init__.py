"""From sound and motion to decisions: the pipeline."""
