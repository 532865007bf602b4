"""The codec between ROS messages and dataclasses."""
