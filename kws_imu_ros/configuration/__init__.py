"""The strict reader of people's YAML files."""
