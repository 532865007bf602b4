"""Intents to safe velocities, limits, watchdog and differential-drive kinematics."""
