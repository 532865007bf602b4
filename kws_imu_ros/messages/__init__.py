"""
The codec between ROS messages and the package's dataclasses; the only place that knows both.

One file a family of messages. ``*_from_message`` functions use attribute access alone, so they read
rclpy's messages and those of the ``rosbags`` library alike. ``*_to_message`` functions build
through a `MessageFactory`: rclpy's classes unless told otherwise, or `BagMessages` over a
``rosbags`` type store.
"""
