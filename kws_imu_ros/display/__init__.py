"""What people see of a run: the terminal, plain lines, the closing table and the picture."""
