"""Models as C for microcontrollers."""
