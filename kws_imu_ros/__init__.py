"""Voice and wrist-gesture control of educational robots on ROS 2."""

__version__ = '0.2.0'
