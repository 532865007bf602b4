"""IMU samples, the resampled window, calibration and IMU sources; plain Python and numpy."""
