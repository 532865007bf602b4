"""The verbs of `kws-imu`: arguments in, lines out."""
