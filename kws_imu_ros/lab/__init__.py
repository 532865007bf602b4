"""The offline training subpackage."""
