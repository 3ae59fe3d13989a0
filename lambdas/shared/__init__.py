"""What the functions have in common. Copied into each function's zip."""
