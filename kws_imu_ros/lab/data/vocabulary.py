"""The labels of the shipped model, in the order of its heads; a recipe may have others."""

VOICE_LABELS = ('left', 'right', 'up', 'down', 'go', 'stop', 'yes', 'no', 'unknown', 'silence')
GESTURE_LABELS = ('swipe_left', 'swipe_right', 'swipe_up', 'swipe_down', 'none')
INTENT_LABELS = ('left', 'right', 'up', 'down', 'go', 'stop', 'yes', 'no', 'none')
