"""Who runs where: the graph of a robot, composed or as processes."""
