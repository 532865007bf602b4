"""ROS 2 nodes: parameters, topics, timers and conversions, and nothing else."""
