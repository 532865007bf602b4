"""Reading, writing and offline replay of rosbag2 bags."""
